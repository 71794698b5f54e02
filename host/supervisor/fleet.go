package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Fleet looks after many processes, each by a Supervisor of its own. Make one
// with NewFleet and have Run run; the other methods may be called concurrently.
type Fleet[I Instance] struct {
	cfg  Config
	wake chan struct{} // something new stands in pending

	mu      sync.RWMutex // guards what follows
	members map[Key]*member[I]
	leaving map[*member[I]]struct{} // retired, still draining
	pending []*member[I]            // not begun yet
	began   bool
	closed  bool
	crashes map[string]*ring // by adapter
}

// member is one Supervisor of a Fleet.
type member[I Instance] struct {
	sup  *Supervisor[I]
	quit chan struct{} // closed when it is retired
	gone chan struct{} // closed when its Run is over
}

// NewFleet returns an empty Fleet, or every fault in cfg at once.
func NewFleet[I Instance](cfg Config) (*Fleet[I], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure fleet: %w", err)
	}
	return &Fleet[I]{
		cfg: cfg, wake: make(chan struct{}, 1),
		members: make(map[Key]*member[I]), leaving: make(map[*member[I]]struct{}),
		crashes: make(map[string]*ring),
	}, nil
}

// Run runs every process until ctx is done. Then it takes no more calls, lets
// those in flight end, and stops all processes at once, each within
// Config.DrainTimeout and Config.StopTimeout. When it returns, none is left. It
// runs once.
func (f *Fleet[I]) Run(ctx context.Context) error {
	f.mu.Lock()
	again := f.began
	f.began = true
	f.mu.Unlock()
	if again {
		return errors.New("run fleet: it has run before")
	}
	var running sync.WaitGroup
	for open := true; open; {
		for _, m := range f.takePending() {
			running.Go(func() { f.runMember(ctx, m) })
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			open = false
		}
	}
	f.mu.Lock()
	f.closed = true
	late := f.pending
	f.pending = nil
	f.mu.Unlock()
	for _, m := range late { // they see that ctx is done, and turn their callers away
		running.Go(func() { f.runMember(ctx, m) })
	}
	running.Wait()
	return nil
}

func (f *Fleet[I]) takePending() []*member[I] {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.pending
	f.pending = nil
	return out
}

// runMember runs one Supervisor until ctx is done or it is retired.
func (f *Fleet[I]) runMember(ctx context.Context, m *member[I]) {
	defer close(m.gone)
	own, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-m.quit:
			cancel(errRetired)
		case <-own.Done():
		}
	}()
	if err := m.sup.Run(own); err != nil {
		m.sup.log.Error("adapter supervisor ended", "error", err)
	}
	cancel(nil)
	<-watched
	f.mu.Lock()
	delete(f.leaving, m)
	f.mu.Unlock()
}

// Ensure has the process for key run, as spec says. When it runs already, spec
// holds from its next start on, and its concurrency at once. It fails with
// shutting_down after Run.
func (f *Fleet[I]) Ensure(key Key, spec Spec[I]) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fault.New(fault.ShuttingDown, "the host is shutting down")
	}
	if m, ok := f.members[key]; ok {
		m.sup.Respec(spec)
		return nil
	}
	sup, err := New(f.cfg, key, spec, f.record)
	if err != nil {
		return fmt.Errorf("ensure %s %s: %w", key.Adapter, key.Version, err)
	}
	m := &member[I]{sup: sup, quit: make(chan struct{}), gone: make(chan struct{})}
	f.members[key] = m
	f.pending = append(f.pending, m)
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return nil
}

// Retire takes the process for key out of service: it gets no more calls, drains
// and ends. A process that Ensure starts for the same key meanwhile is another
// one. Retire returns when the process is gone, or with ctx's error when ctx is
// done before; the end goes on then. A key without a process is no error.
func (f *Fleet[I]) Retire(ctx context.Context, key Key) error {
	f.mu.Lock()
	m, ok := f.members[key]
	if ok {
		delete(f.members, key)
		f.leaving[m] = struct{}{}
		close(m.quit)
	}
	f.mu.Unlock()
	if !ok {
		return nil
	}
	select {
	case <-m.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Acquire is Supervisor.Acquire for the process of key. A key without a process
// is adapter_unavailable.
func (f *Fleet[I]) Acquire(ctx context.Context, key Key, requestID string) (*Lease[I], error) {
	sup, err := f.supervisor(key)
	if err != nil {
		return nil, err
	}
	return sup.Acquire(ctx, requestID)
}

// Restart is Supervisor.Restart for the process of key.
func (f *Fleet[I]) Restart(ctx context.Context, key Key) error {
	sup, err := f.supervisor(key)
	if err != nil {
		return err
	}
	return sup.Restart(ctx)
}

// Unquarantine is Supervisor.Unquarantine for the process of key.
func (f *Fleet[I]) Unquarantine(ctx context.Context, key Key) error {
	sup, err := f.supervisor(key)
	if err != nil {
		return err
	}
	return sup.Unquarantine(ctx)
}

func (f *Fleet[I]) supervisor(key Key) (*Supervisor[I], error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if m, ok := f.members[key]; ok {
		return m.sup, nil
	}
	if f.closed {
		return nil, fault.New(fault.ShuttingDown, "the host is shutting down")
	}
	return nil, fault.New(fault.AdapterUnavailable, "this version of the adapter does not run on this host")
}

// Status returns what is known of every process, sorted by adapter, version and
// tenant; retired ones that still drain are among them.
func (f *Fleet[I]) Status() []Status {
	f.mu.RLock()
	sups := make([]*Supervisor[I], 0, len(f.members)+len(f.leaving))
	for _, m := range f.members {
		sups = append(sups, m.sup)
	}
	for m := range f.leaving {
		sups = append(sups, m.sup)
	}
	f.mu.RUnlock()
	out := make([]Status, 0, len(sups))
	for _, sup := range sups {
		out = append(out, sup.Status())
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Key.Adapter, b.Key.Adapter), cmp.Compare(a.Key.Version, b.Key.Version),
			cmp.Compare(a.Key.Tenant, b.Key.Tenant), a.Since.Compare(b.Since))
	})
	return out
}

// Crashes returns the latest crash reports of an adapter, of all its versions,
// newest first.
func (f *Fleet[I]) Crashes(adapter string) []Crash {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if r, ok := f.crashes[adapter]; ok {
		return r.newest()
	}
	return []Crash{}
}

func (f *Fleet[I]) record(c Crash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.crashes[c.Adapter]
	if !ok {
		r = &ring{limit: f.cfg.Crashes}
		f.crashes[c.Adapter] = r
	}
	r.add(c)
}
