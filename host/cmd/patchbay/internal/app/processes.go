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
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const (
	// idleAfter is how long a process that no tenant wants is kept after its last
	// call.
	idleAfter = time.Minute
	// sweepEvery is the longest time between two looks for such processes.
	sweepEvery = 20 * time.Second
	// busyEvery is the time between two looks for the end of the calls of a process
	// whose package was replaced.
	busyEvery = time.Second
	// routeSlack is added to maxWait for processes of replaced packages: routes to
	// them are given out until the directory has followed the catalog.
	routeSlack = time.Second
	// maxReplaced is how many processes of replaced packages are kept beside that
	// of the installed one, of each version.
	maxReplaced = 3
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
//
// A call is served by a process of the very package against whose manifest it was
// checked. So when another package takes the place of one, the process of the old
// one stays as long as calls may need it: until maxWait after the change, by when
// all that were checked against it have given up or have their place.
type processes struct {
	fleet     *fleet
	launcher  *launch.Launcher
	catalog   *catalog.Catalog
	directory *tenant.Directory
	adapters  map[string]config.Adapter
	maxWait   time.Duration
	log       *slog.Logger

	mu   sync.RWMutex            // guards used; never held across a start, a stop or a call
	used map[supervisor.Key]*use // every process that the fleet is to have
}

// use is what is known of the use of a process.
type use struct {
	last       atomic.Int64 // when it was last asked for, in Unix nanoseconds
	executable string       // SHA-256 of what it runs
	// replaced is when its package was installed no more; zero while it is. Guarded by
	// the mu of processes.
	replaced time.Time
}

// left returns how long the process is kept from now on: one of an installed package
// unless it is asked for meanwhile, one of a replaced package in any case.
func (u *use) left(now time.Time, maxWait time.Duration) time.Duration {
	if u.replaced.IsZero() {
		return idleAfter - now.Sub(time.Unix(0, u.last.Load()))
	}
	return maxWait + routeSlack - now.Sub(u.replaced)
}

func newProcesses(p *parts, adapters map[string]config.Adapter, maxWait time.Duration, log *slog.Logger) *processes {
	return &processes{
		fleet: p.fleet, launcher: p.launcher, catalog: p.catalog, directory: p.directory,
		adapters: adapters, maxWait: maxWait, log: log, used: map[supervisor.Key]*use{},
	}
}

// follow starts what tenants enable and retires what none wants any more, until
// ctx is done.
func (p *processes) follow(ctx context.Context) error {
	for {
		next := time.NewTimer(p.sync(time.Now()))
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-p.directory.Changed():
		case <-next.C:
		}
		next.Stop()
	}
}

// sync makes the fleet what the tenants want, and returns when to look again. It
// may be called concurrently.
func (p *processes) sync(now time.Time) (again time.Duration) {
	needed := map[supervisor.Key]bool{}
	for _, w := range p.directory.Wanted() {
		key := supervisor.Key{Adapter: w.Adapter, Version: w.Version, Digest: w.Digest}
		needed[key] = true
		if err := p.ensure(key); err != nil {
			p.log.Warn("adapter not started", keyAdapter, key.Adapter, keyVersion, key.Version, keyError, err)
		}
	}
	for _, s := range p.fleet.Status() {
		if s.InFlight > 0 || s.Waiting > 0 {
			needed[s.Key] = true
		}
	}
	again = sweepEvery
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, u := range p.used {
		switch left := u.left(now, p.maxWait); {
		case needed[key] && u.replaced.IsZero():
		case needed[key]:
			again = min(again, busyEvery)
		case left > 0:
			again = min(again, left)
		default:
			p.retire(key, u)
		}
	}
	p.retireSurplus()
	return again
}

// retireSurplus bounds the processes of replaced packages, as after many installs
// of one version within one maxWait. A call that still needs one of those retired
// is told to come again. The caller holds mu.
func (p *processes) retireSurplus() {
	replaced := map[supervisor.Key][]supervisor.Key{} // by adapter and version
	for key, u := range p.used {
		if !u.replaced.IsZero() {
			of := supervisor.Key{Adapter: key.Adapter, Version: key.Version}
			replaced[of] = append(replaced[of], key)
		}
	}
	for _, keys := range replaced {
		slices.SortFunc(keys, func(a, b supervisor.Key) int { return p.used[b].replaced.Compare(p.used[a].replaced) })
		for _, key := range keys[min(len(keys), maxReplaced):] {
			p.retire(key, p.used[key])
		}
	}
}

// retire takes a process out of service: its calls end, and it with them. The
// caller holds mu.
func (p *processes) retire(key supervisor.Key, u *use) {
	delete(p.used, key)
	// With a context that is done, Retire takes the process out of service at
	// once, and the fleet sees to its end.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.fleet.Retire(ended, key)
	if !u.replaced.IsZero() && !p.runs(u.executable) {
		p.launcher.Drop(u.executable)
	}
	p.log.Info("adapter retired", keyAdapter, key.Adapter, keyVersion, key.Version, keyDigest, key.Digest)
}

// runs reports whether some process is of that executable. The caller holds mu.
func (p *processes) runs(executable string) bool {
	for _, u := range p.used {
		if u.executable == executable {
			return true
		}
	}
	return false
}

// ensure has the process run, and notes that it is in use.
func (p *processes) ensure(key supervisor.Key) error {
	if p.touch(key) {
		return nil
	}
	pkg, err := p.catalog.Lookup(key.Adapter, key.Version)
	if err != nil {
		return err
	}
	if pkg.Digest != key.Digest {
		return fault.New(fault.AdapterUnavailable, "another package was installed as this version while the call waited; send it again")
	}
	return p.begin(pkg)
}

// touch notes that the process is in use, and reports whether there is one.
func (p *processes) touch(key supervisor.Key) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	u, ok := p.used[key]
	if ok {
		u.last.Store(time.Now().UnixNano())
	}
	return ok
}

// begin has the process of the package run, and notes that it is in use.
func (p *processes) begin(pkg *catalog.Package) error {
	key := keyOf(pkg)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.fleet.Ensure(key, p.spec(pkg)); err != nil {
		return err
	}
	u := p.used[key]
	if u == nil {
		u = &use{executable: pkg.ExecutableDigest}
		p.used[key] = u
	}
	u.last.Store(time.Now().UnixNano())
	return nil
}

// keyOf names the process of a package.
func keyOf(pkg *catalog.Package) supervisor.Key {
	return supervisor.Key{Adapter: pkg.Name, Version: pkg.Version, Digest: pkg.Digest}
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
	key := supervisor.Key{Adapter: t.Adapter, Version: t.Version, Digest: t.Digest}
	if err := p.ensure(key); err != nil {
		return nil, err
	}
	l, err := p.fleet.Acquire(ctx, key, t.RequestID)
	if err != nil {
		return nil, err
	}
	return &place{lease: l, requestID: t.RequestID}, nil
}
