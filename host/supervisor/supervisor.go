package supervisor

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// errRetired is the cause with which a Fleet ends one Supervisor of many.
var errRetired = errors.New("the adapter process is not wanted any more")

// Supervisor keeps one adapter process running. Make one with New and have Run
// run; the other methods may be called concurrently.
type Supervisor[I Instance] struct {
	key    Key
	cfg    Config
	log    *slog.Logger
	report func(Crash)

	mailbox chan func(context.Context) // what the actor is to do next
	ended   chan struct{}              // closed when Run is over
	tasks   sync.WaitGroup             // goroutines that the actor has started
	alarm   *time.Timer                // the next start; runs in backoff and quarantine

	// The actor's own.
	procs     []*process[I] // oldest first, the current one included
	launching bool
	joined    []chan error // callers of Restart that wait for the start under way
	fell      *process[I]  // died last, of what is not known yet

	mu          sync.Mutex // guards what follows, and the marked fields of process
	spec        Spec[I]
	began       bool // Run was called
	state       State
	since       time.Time
	why         trouble
	current     *process[I]  // takes the calls; nil unless ready
	waiting     list.List    // of *waiter[I], the longest waiting first
	closing     *fault.Error // what calls get once the end has begun; nil before
	old         int          // retired processes that live on
	sick        bool         // the process says that it cannot serve
	health      string
	healthAt    time.Time
	starts      int // all starts so far
	failures    int // in a row; the exponent of the backoff
	badStarts   int // in a row; leads into quarantine
	quarantines int // in a row; the exponent of the probation
}

// trouble says why there is no process, and until when.
type trouble struct {
	cause  Cause
	detail string
	next   time.Time // of the next start
}

// New returns a Supervisor for the process that spec describes, or every fault
// in cfg at once. report is given each crash and must not block; nil drops them.
func New[I Instance](cfg Config, key Key, spec Spec[I], report func(Crash)) (*Supervisor[I], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure supervisor: %w", err)
	}
	if spec.Launch == nil {
		return nil, errors.New("configure supervisor: Spec.Launch is missing")
	}
	if report == nil {
		report = func(Crash) {}
	}
	log := cfg.Log.With("adapter", key.Adapter, "version", key.Version)
	if key.Tenant != "" {
		log = log.With("tenant", key.Tenant)
	}
	return &Supervisor[I]{
		key: key, cfg: cfg, log: log, report: report, spec: spec.withDefaults(),
		mailbox: make(chan func(context.Context)), ended: make(chan struct{}),
		state: Stopped, since: time.Now(),
	}, nil
}

// Run keeps the process running until ctx is done, then drains and ends it. It
// owns every goroutine and process that it starts: when it returns, none is
// left. It runs once.
func (s *Supervisor[I]) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.began
	s.began = true
	s.mu.Unlock()
	if again {
		return errors.New("run supervisor: it has run before")
	}
	s.alarm = time.NewTimer(time.Hour)
	defer s.alarm.Stop()
	s.start(ctx)
	for stop := ctx.Done(); stop != nil || s.launching || len(s.procs) > 0; {
		select {
		case <-stop:
			stop = nil
			s.shutDown(ctx)
		case act := <-s.mailbox:
			act(ctx)
		case <-s.alarm.C:
			s.start(ctx)
		}
	}
	close(s.ended)
	s.tasks.Wait()
	s.set(Stopped, trouble{})
	return nil
}

// tell has the actor do act. It returns once the actor has taken it, at once
// when the actor has ended.
func (s *Supervisor[I]) tell(act func(context.Context)) {
	select {
	case s.mailbox <- act:
	case <-s.ended:
	}
}

// start begins to start a process, unless a start is under way.
func (s *Supervisor[I]) start(ctx context.Context) {
	s.alarm.Stop()
	s.mu.Lock()
	spec, first := s.spec, s.starts == 0
	why, serving := s.why, s.current != nil
	if !s.launching {
		s.starts++
	}
	s.mu.Unlock()
	if first {
		why = trouble{}
	}
	if why.next = (time.Time{}); !serving {
		s.set(Starting, why)
	}
	if s.launching {
		return
	}
	s.launching = true
	s.tasks.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, spec.StartTimeout)
		defer cancel()
		inst, err := spec.Launch(bounded)
		if err != nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
			err = timedOut(err, spec.StartTimeout)
		}
		s.tell(func(ctx context.Context) { s.launched(ctx, inst, err) })
	})
}

// timedOut gives an error that arose after the start's deadline its cause,
// unless the launcher knew a better one.
func timedOut(err error, limit time.Duration) error {
	var known *StartError
	if errors.As(err, &known) {
		return err
	}
	return &StartError{Cause: StartTimeout, Detail: "not ready within " + limit.String(), Err: err}
}

// launched takes the outcome of a start.
func (s *Supervisor[I]) launched(ctx context.Context, inst I, err error) {
	s.launching = false
	defer s.answerJoined(err)
	if err != nil {
		s.startFailed(ctx, err)
		return
	}
	p := s.adopt(ctx, inst)
	s.mu.Lock()
	old, closing := s.current, s.closing
	s.current = p
	s.sick, s.health, s.healthAt = false, "", time.Time{}
	s.mu.Unlock()
	if closing != nil {
		s.retire(ctx, p, "", 0)
		return
	}
	s.set(Ready, trouble{})
	if old != nil {
		s.retire(ctx, old, "", s.cfg.DrainTimeout)
	}
}

// startFailed reports a failed start and decides what follows.
func (s *Supervisor[I]) startFailed(ctx context.Context, err error) {
	if s.shuttingDown() {
		return
	}
	known := &StartError{Cause: LaunchFailed, Err: err, Exit: Exit{Code: -1}}
	var start *StartError
	if errors.As(err, &start) {
		known = start
	} else if fault.ClassOf(err) == fault.Permanent {
		known.Cause = NotInstalled
	}
	c := s.crash(known.Exit, known.Pid)
	c.Cause, c.Detail = known.Cause, known.Detail
	if known.Pid == 0 {
		c.ExitCode = -1
	}
	if c.Detail == "" && known.Err != nil {
		c.Detail = known.Err.Error()
	}
	c.Decision = s.fail(ctx, failure{cause: known.Cause, detail: c.Detail})
	s.file(c)
}

func (s *Supervisor[I]) answerJoined(err error) {
	for _, answer := range s.joined {
		answer <- err
	}
	s.joined = nil
}

// failure is one process, or start, that failed.
type failure struct {
	cause    Cause
	detail   string
	answered bool // it had answered a call or a periodic health check
	uptime   time.Duration
}

// fail decides what follows a failure, does it, and returns it in words.
func (s *Supervisor[I]) fail(ctx context.Context, f failure) string {
	switch {
	case s.shuttingDown():
		return "none: the host is ending it"
	case s.processOf() != nil:
		return "none: another process serves"
	case s.launching:
		s.set(Starting, trouble{cause: f.cause, detail: f.detail})
		return "none: a replacement is starting"
	}
	s.mu.Lock()
	if !f.answered {
		s.badStarts++
	}
	if f.uptime >= s.cfg.StableAfter {
		s.failures = 0
	}
	wait := s.cfg.backoff(s.failures)
	s.failures++
	to, why := Backoff, trouble{cause: f.cause, detail: f.detail}
	if looping := s.badStarts >= s.cfg.MaxBadStarts; looping || f.cause.Permanent() {
		to, wait = Quarantined, doubled(s.cfg.MinProbation, s.quarantines, s.cfg.MaxProbation)
		s.quarantines++
		if !f.cause.Permanent() {
			why = trouble{cause: CrashLoop, detail: loop(s.badStarts, f.cause, f.detail)}
		}
	}
	why.next = time.Now().Add(wait)
	s.why = why
	s.mu.Unlock()
	if wait == 0 {
		s.start(ctx)
		return "restarted at once"
	}
	s.set(to, why)
	s.alarm.Reset(wait)
	if to == Quarantined {
		return "quarantined for " + wait.String()
	}
	return "restart in " + wait.Round(time.Millisecond).String()
}

// loop describes a crash loop by its length and its last crash.
func loop(starts int, cause Cause, detail string) string {
	return strings.TrimSpace(fmt.Sprintf("%d starts in a row, the last: %s %s", starts, cause, detail))
}

// shutDown begins the end: no more calls, the process drains and stops.
func (s *Supervisor[I]) shutDown(ctx context.Context) {
	s.alarm.Stop()
	end := fault.New(fault.ShuttingDown, "the host is shutting down")
	if errors.Is(context.Cause(ctx), errRetired) {
		end = fault.New(fault.AdapterUnavailable, "this version of the adapter is being taken out of service")
	}
	s.mu.Lock()
	s.closing = end
	p := s.current
	s.mu.Unlock()
	s.answerJoined(end)
	s.set(Draining, trouble{})
	if p != nil {
		s.retire(ctx, p, "", s.cfg.DrainTimeout)
	}
}

func (s *Supervisor[I]) shuttingDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing != nil
}

func (s *Supervisor[I]) processOf() *process[I] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// set is the only place that changes the state, so it is the only one that logs
// it. Only the actor calls it.
func (s *Supervisor[I]) set(to State, why trouble) {
	s.mu.Lock()
	from := s.state
	if s.closing != nil && to != Stopped {
		to = Draining
	}
	if s.state != to {
		s.since = time.Now()
	}
	s.state, s.why = to, why
	pid := 0
	if s.current != nil {
		pid = s.current.inst.Pid()
	}
	s.settle()
	s.mu.Unlock()
	if from == to && to != Ready {
		return
	}
	level := slog.LevelInfo
	switch to {
	case Backoff:
		level = slog.LevelWarn
	case Quarantined:
		level = slog.LevelError // a person must act
	}
	args := []any{"from", from, "to", to}
	if pid != 0 {
		args = append(args, "pid", pid)
	}
	if why.cause != "" {
		args = append(args, "cause", why.cause, "detail", why.detail, "remedy", why.cause.Remedy())
	}
	if !why.next.IsZero() {
		args = append(args, "next_start", why.next)
	}
	s.log.Log(context.Background(), level, "adapter state changed", args...)
}
