package supervisor

import (
	"context"
	"slices"
	"strings"
	"time"
)

// process is one Instance and what its Supervisor knows of it.
type process[I Instance] struct {
	inst    I
	started time.Time
	unwatch context.CancelFunc // ends its health checks
	idle    chan struct{}      // closed when it is retired and its calls have ended
	cut     chan struct{}      // closed when its drain is cut short

	// The actor's own.
	misses   int           // health checks missed in a row
	isCut    bool          // cut is closed
	lifetime time.Duration // from the start to the death; set by then
	status   Cause         // what its end looked like before what it wrote was read
	decision string        // what the host did when it condemned the process or saw its death

	// Guarded by the Supervisor's mu.
	leases   map[*Lease[I]]struct{}
	lost     []string // request ids of condemned calls
	answered bool     // it answered a call or a periodic health check
	retired  bool     // it gets no more calls
	why      Cause    // why the host is ending it by force; "" when it is not
}

// requestIDs returns the calls that the process holds or was condemned for.
// The caller holds mu.
func (p *process[I]) requestIDs() []string {
	ids := slices.Clone(p.lost)
	for l := range p.leases {
		if l.requestID != "" {
			ids = append(ids, l.requestID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// adopt makes inst the current process and has it watched.
func (s *Supervisor[I]) adopt(ctx context.Context, inst I) *process[I] {
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	p := &process[I]{
		inst: inst, started: time.Now(), unwatch: unwatch,
		idle: make(chan struct{}), cut: make(chan struct{}),
		leases: make(map[*Lease[I]]struct{}),
	}
	s.procs = append(s.procs, p)
	s.tasks.Go(func() {
		<-inst.Dead()
		s.tell(func(ctx context.Context) { s.died(ctx, p) })
		<-inst.Done()
		s.tell(func(context.Context) { s.exited(p) })
	})
	s.tasks.Go(func() { s.watchHealth(watched, p) })
	return p
}

// watchHealth asks p for its health until ctx is done. The first check comes at
// once and is part of the start: it tells whether p serves, but does not count
// as an answer.
func (s *Supervisor[I]) watchHealth(ctx context.Context, p *process[I]) {
	tick := time.NewTicker(s.cfg.HealthEvery)
	defer tick.Stop()
	for periodic := false; ; periodic = true {
		check, cancel := context.WithTimeout(ctx, s.cfg.HealthTimeout)
		health, err := p.inst.Health(check)
		cancel()
		if ctx.Err() != nil {
			return
		}
		s.tell(func(ctx context.Context) { s.checked(ctx, p, health, err, periodic) })
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// checked takes the outcome of one health check.
func (s *Supervisor[I]) checked(ctx context.Context, p *process[I], health Health, err error, periodic bool) {
	if s.processOf() != p {
		return
	}
	if err != nil {
		p.misses++
		s.log.Warn("adapter missed a health check", "pid", p.inst.Pid(), "misses", p.misses, "error", err)
		if p.misses >= s.cfg.HealthMisses {
			s.condemn(ctx, p, nil, Hang, 0)
		}
		return
	}
	p.misses = 0
	s.mu.Lock()
	if periodic {
		p.answered = true
		s.badStarts, s.quarantines = 0, 0
	}
	changed := s.sick == health.Serving
	s.sick, s.health, s.healthAt = !health.Serving, health.Message, time.Now()
	s.settle()
	s.mu.Unlock()
	switch {
	case changed && health.Serving:
		s.log.Info("adapter serves again", "pid", p.inst.Pid())
	case changed:
		s.log.Warn("adapter reported that it cannot serve", "pid", p.inst.Pid(), "cause", NotServing, "health", health.Message)
	}
}

// retire takes p out of service: no more calls, and it ends once its calls have
// ended or drain has passed. With a cause it is ended by force and reported as a
// crash.
func (s *Supervisor[I]) retire(ctx context.Context, p *process[I], why Cause, drain time.Duration) {
	s.mu.Lock()
	if p.retired {
		s.mu.Unlock()
		return
	}
	p.retired, p.why = true, why
	s.old++
	if s.current == p {
		s.current = nil
	}
	if len(p.leases) == 0 {
		close(p.idle)
	}
	s.mu.Unlock()
	p.unwatch()
	s.tasks.Go(func() {
		awaitIdle(p, drain)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
		defer cancel()
		if why != "" {
			cancel() // asking a hung process politely is lost time
		}
		p.inst.Stop(stop)
	})
	s.limitOld()
}

// awaitIdle waits until p has no calls, is gone, is cut short, or limit passes.
func awaitIdle[I Instance](p *process[I], limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.idle:
	case <-p.cut:
	case <-p.inst.Dead():
	case <-timer.C:
	}
}

// limitOld cuts the drain of the oldest retired processes when there are too
// many, as after many restarts within one long call.
func (s *Supervisor[I]) limitOld() {
	var old []*process[I]
	for _, p := range s.procs {
		if s.isRetired(p) && !p.isCut {
			old = append(old, p)
		}
	}
	for len(old) > s.cfg.MaxOld {
		old[0].isCut = true
		close(old[0].cut)
		old = old[1:]
	}
}

func (s *Supervisor[I]) isRetired(p *process[I]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.retired
}

// condemn ends p by force, because lease (nil: the host itself) found it hung,
// and has a replacement started. Calls of others may go on until drain passes.
func (s *Supervisor[I]) condemn(ctx context.Context, p *process[I], lease *Lease[I], why Cause, drain time.Duration) {
	known := slices.Contains(s.procs, p) && !isClosed(p.inst.Dead()) // it may have ended meanwhile
	s.mu.Lock()
	if _, held := p.leases[lease]; held && lease.requestID != "" {
		p.lost = append(p.lost, lease.requestID)
	}
	current := known && s.current == p
	f := failure{cause: why, answered: p.answered, uptime: time.Since(p.started)}
	if p.retired && p.why == "" {
		p.why, p.decision = why, "none: the process was ending already"
	}
	s.mu.Unlock()
	if known {
		s.retire(ctx, p, why, drain)
	}
	s.giveBack(lease)
	if !current {
		return
	}
	s.log.Warn("adapter process condemned", "pid", p.inst.Pid(), "cause", why)
	p.decision = s.fail(ctx, f)
}

// died takes p out of service the moment it has ended, and decides what follows
// when that was not asked for. What it died of is known only when what it wrote
// was read; that may take as long as a descendant holds its pipes.
func (s *Supervisor[I]) died(ctx context.Context, p *process[I]) {
	p.unwatch()
	s.mu.Lock()
	p.lifetime = time.Since(p.started)
	if p.retired {
		s.mu.Unlock()
		return
	}
	if s.current == p {
		s.current = nil
	}
	answered := p.answered
	s.mu.Unlock()
	p.status = p.inst.Status().Cause
	p.decision = s.fail(ctx, failure{cause: p.status, answered: answered, uptime: p.lifetime})
	s.fell = p
}

// exited reports the end of p.
func (s *Supervisor[I]) exited(p *process[I]) {
	s.procs = slices.DeleteFunc(s.procs, func(q *process[I]) bool { return q == p })
	exit := p.inst.Exit()
	s.mu.Lock()
	if p.retired {
		s.old--
	}
	ids, why, retired := p.requestIDs(), p.why, p.retired
	s.mu.Unlock()
	if retired && why == "" {
		s.log.Info("adapter process ended", "pid", p.inst.Pid(), "exit_code", exit.Code, "signal", exit.Signal)
		return
	}
	c := s.crash(exit, p.inst.Pid())
	c.Detail = lastLine(exit)
	c.UptimeMS, c.RequestIDs = p.lifetime.Milliseconds(), ids
	if why != "" && killed(exit) {
		c.Cause = why // else it ended on its own before the host got to it
	}
	if s.fell == p {
		s.explain(p.status, c.Cause, c.Detail)
	}
	c.Decision = p.decision
	s.file(c)
}

// killed reports whether a process ended as those do that the host ends by force.
// One that the kernel killed for its memory has a cause of its own.
func killed(exit Exit) bool { return exit.Cause == Signaled && exit.Signal == "SIGKILL" }

// crash begins the report of a process that ended.
func (s *Supervisor[I]) crash(exit Exit, pid int) Crash {
	if exit.Cause == "" {
		exit.Cause = Exited
	}
	return Crash{
		Time: time.Now(), Adapter: s.key.Adapter, Version: s.key.Version, Tenant: s.key.Tenant,
		Pid: pid, Cause: exit.Cause, ExitCode: exit.Code, Signal: exit.Signal,
		Stderr: exit.Stderr, PeakRSSBytes: exit.PeakRSS,
	}
}

// file completes a crash report, logs it and hands it on.
func (s *Supervisor[I]) file(c Crash) {
	c.Remedy = c.Cause.Remedy()
	if c.Stderr == nil {
		c.Stderr = []string{}
	}
	if c.RequestIDs == nil {
		c.RequestIDs = []string{}
	}
	s.report(c)
	s.log.Warn("adapter crashed", "pid", c.Pid, "cause", c.Cause, "detail", c.Detail, "remedy", c.Remedy,
		"exit_code", c.ExitCode, "signal", c.Signal, "uptime_ms", c.UptimeMS, "in_flight", len(c.RequestIDs), "decision", c.Decision)
}

// lastLine returns the line of standard error that speaks of the end: that with
// which a panic began, else the last one. A record of the adapter's logger speaks of
// its work, and so does all that came before one; "" when nothing came after it.
func lastLine(exit Exit) string {
	last := ""
	for _, line := range slices.Backward(exit.Stderr) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "{"):
			return last
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
			return line
		case last == "":
			last = line
		}
	}
	return last
}

// explain puts what the last process died of into the reason for the state that
// this has led to.
func (s *Supervisor[I]) explain(status, cause Cause, detail string) {
	s.fell = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.why.cause {
	case status:
		s.why.cause, s.why.detail = cause, detail
	case CrashLoop:
		s.why.detail = loop(s.badStarts, cause, detail)
	}
}
