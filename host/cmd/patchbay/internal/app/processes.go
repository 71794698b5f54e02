package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/launch"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

const (
	// idleAfter is how long a process that no tenant wants is kept after its last
	// call.
	idleAfter = time.Minute
	// sweepEvery is the time between two looks for such processes.
	sweepEvery = 20 * time.Second
)

type (
	instance = launch.Instance
	fleet    = supervisor.Fleet[*instance]
	lease    = supervisor.Lease[*instance]
)

// processes keeps one process for every adapter version that a tenant has enabled,
// and starts others when a call needs them, as the search for an entry does whose
// adapter the tenant has disabled since. An entry is searched for with the version
// that the tenant uses now, not the one that made it. It is the relay's and the
// HTTP API's view of the fleet.
type processes struct {
	fleet     *fleet
	launcher  *launch.Launcher
	catalog   *catalog.Catalog
	directory *tenant.Directory
	adapters  map[string]config.Adapter
	log       *slog.Logger

	mu   sync.RWMutex                     // guards used; never held across a start, a stop or a call
	used map[supervisor.Key]*atomic.Int64 // when the process was last asked for, in Unix nanoseconds
}

func newProcesses(p *parts, adapters map[string]config.Adapter, log *slog.Logger) *processes {
	return &processes{
		fleet: p.fleet, launcher: p.launcher, catalog: p.catalog, directory: p.directory,
		adapters: adapters, log: log, used: map[supervisor.Key]*atomic.Int64{},
	}
}

// follow starts what tenants enable and retires what none wants any more, until
// ctx is done.
func (p *processes) follow(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		p.sync(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-p.directory.Changed():
		case <-sweep.C:
		}
	}
}

// sync makes the fleet what the tenants want.
func (p *processes) sync(now time.Time) {
	wanted := map[supervisor.Key]bool{}
	for _, w := range p.directory.Wanted() {
		key := supervisor.Key{Adapter: w.Adapter, Version: w.Version}
		wanted[key] = true
		if err := p.ensure(key); err != nil {
			p.log.Warn("adapter not started", keyAdapter, key.Adapter, keyVersion, key.Version, keyError, err)
		}
	}
	busy := map[supervisor.Key]bool{}
	for _, s := range p.fleet.Status() {
		if s.InFlight > 0 || s.Waiting > 0 {
			busy[s.Key] = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, last := range p.used {
		if wanted[key] || busy[key] || now.Sub(time.Unix(0, last.Load())) < idleAfter {
			continue
		}
		delete(p.used, key)
		// With a context that is done, Retire takes the process out of service at
		// once, and the fleet sees to its end.
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.fleet.Retire(ended, key)
		p.log.Info("adapter retired", keyAdapter, key.Adapter, keyVersion, key.Version)
	}
}

// ensure has the process run, and notes that it is in use.
func (p *processes) ensure(key supervisor.Key) error {
	now := time.Now().UnixNano()
	p.mu.RLock()
	last, ok := p.used[key]
	if ok {
		last.Store(now)
	}
	p.mu.RUnlock()
	if ok {
		return nil
	}
	pkg, err := p.catalog.Lookup(key.Adapter, key.Version)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.fleet.Ensure(key, p.spec(pkg)); err != nil {
		return err
	}
	last = &atomic.Int64{}
	last.Store(now)
	p.used[key] = last
	return nil
}

// spec says how a package's process is run.
func (p *processes) spec(pkg *catalog.Package) supervisor.Spec[*instance] {
	spec, limits := LaunchSpec(pkg, p.adapters[pkg.Name]), pkg.Manifest.Run.Limits
	return supervisor.Spec[*instance]{
		Launch:       func(ctx context.Context) (*instance, error) { return p.launcher.Launch(ctx, spec) },
		StartTimeout: limits.StartTimeout, Concurrency: limits.Concurrency,
	}
}

// LaunchSpec says how the process of a package is started, for all tenants, with
// what the operator says about the adapter. It has none of the variables that the
// manifest does not name.
func LaunchSpec(pkg *catalog.Package, own config.Adapter) launch.Spec {
	run := pkg.Manifest.Run
	env := maps.Clone(map[string]string(own.Env))
	maps.DeleteFunc(env, func(name, _ string) bool { return !slices.Contains(run.Env, name) })
	return launch.Spec{
		Name: pkg.Name, Version: pkg.Version,
		ExecutablePath: pkg.ExecutablePath, ExecutableDigest: pkg.ExecutableDigest, Dir: pkg.Dir,
		Args: run.Args, Env: env, Egress: run.Egress, AllowPrivate: own.AllowPrivate,
		StartTimeout: run.Limits.StartTimeout, MemoryMiB: run.Limits.MemoryMiB,
	}
}

// Acquire implements relay.Adapters.
func (p *processes) Acquire(ctx context.Context, t relay.Target) (relay.Process, error) {
	key := supervisor.Key{Adapter: t.Adapter, Version: t.Version}
	if err := p.ensure(key); err != nil {
		return nil, err
	}
	l, err := p.fleet.Acquire(ctx, key, t.RequestID)
	if err != nil {
		return nil, err
	}
	return &place{lease: l, requestID: t.RequestID}, nil
}

// place is one place in a running process: a relay.Process.
type place struct {
	lease     *lease
	requestID string
}

var _ relay.Process = (*place)(nil)

// AddMessageLog implements relay.Process.
func (p *place) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return p.lease.Instance().Client().AddMessageLog(rpc.WithRequestID(ctx, p.requestID), req)
}

// FindMessageLog implements relay.Process.
func (p *place) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return p.lease.Instance().Client().FindMessageLog(rpc.WithRequestID(ctx, p.requestID), req)
}

// CanFind implements relay.Process.
func (p *place) CanFind() bool { return p.lease.Instance().Info().Can(sdk.CanFindMessageLog) }

// Done implements relay.Process.
func (p *place) Done() <-chan struct{} { return p.lease.Instance().Done() }

// Condemn implements relay.Process. A cause that crash reports do not know reads
// as a hang.
func (p *place) Condemn(cause string) {
	c := supervisor.Cause(cause)
	if c.Remedy() == "" {
		c = supervisor.Hang
	}
	p.lease.Condemn(c)
}

// Release implements relay.Process.
func (p *place) Release(answered bool) { p.lease.Release(answered) }
