package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const (
	// commitTimeout bounds the write of the installed digests, which goes on when
	// its caller has gone.
	commitTimeout = 10 * time.Second
	// healthTimeout bounds the question whether a new process can serve.
	healthTimeout = 2 * time.Second
)

// installer takes packages into a running host: the catalog, the tenants' routes
// and the processes change together.
type installer struct {
	catalog   *catalog.Catalog
	directory *tenant.Directory
	processes *processes
	turn      chan struct{} // holds one value while an install is under way
}

var _ httpapi.Installer = (*installer)(nil)

func newInstaller(p *parts) *installer {
	return &installer{catalog: p.catalog, directory: p.directory, processes: p.processes, turn: make(chan struct{}, 1)}
}

// Install implements httpapi.Installer.
//
// Where a process serves calls, that of the new package must take calls before
// anything changes. Then the digests are pinned, the catalog's snapshot is swapped,
// and the tenants' routes follow in one step: a call has the old manifest and the
// old process, or both new. The old processes drain.
func (i *installer) Install(ctx context.Context, adapter, version string) error {
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return abandoned()
	}
	found, err := i.catalog.Examine(ctx, adapter, version)
	if err != nil {
		if ctx.Err() != nil {
			return abandoned()
		}
		return err
	}
	tried, err := i.processes.startNewBuilds(ctx, found.Packages())
	if err == nil {
		err = commit(ctx, found)
	}
	if err != nil {
		i.processes.giveUp(tried)
		return err
	}
	i.processes.markReplaced(adapter)
	i.directory.Refresh()
	i.processes.sync(time.Now())
	return nil
}

// abandoned is the fault of an install whose caller has gone before anything was
// changed.
func abandoned() error {
	return fault.New(fault.Overloaded, "the caller gave up before anything was changed")
}

// commit installs what was found. It goes on when the caller has gone.
func commit(ctx context.Context, found *catalog.Installation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := found.Commit(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrUncertain):
		return &fault.Error{
			Code: fault.Outcome, Class: fault.Unknown, Source: fault.Host,
			Msg: "the ledger did not confirm the install; install again", Err: err,
		}
	default:
		return &fault.Error{
			Code: fault.Overloaded, Class: fault.Retryable, Source: fault.Host, RetryAfter: time.Second,
			Msg: "the ledger cannot be written", Err: err,
		}
	}
}

// startNewBuilds starts processes of those packages that are to take the place of one which
// serves calls, and returns the packages whose processes it began to start. The
// error is a fault: conflict when one does not take calls.
func (p *processes) startNewBuilds(ctx context.Context, packages []*catalog.Package) (tried []*catalog.Package, err error) {
	serving := map[supervisor.Key]bool{}
	for _, s := range p.fleet.Status() {
		serving[s.Key] = s.State == supervisor.Ready && s.Serving
	}
	for _, pkg := range packages {
		now, err := p.catalog.Lookup(pkg.Name, pkg.Version)
		if err != nil || now.Digest == pkg.Digest || !serving[keyOf(now)] {
			continue
		}
		tried = append(tried, pkg)
		if err := p.startNewBuild(ctx, pkg); err != nil {
			return tried, err
		}
	}
	return tried, nil
}

// startNewBuild starts the package's process and waits until it takes calls.
func (p *processes) startNewBuild(ctx context.Context, pkg *catalog.Package) error {
	if err := p.begin(pkg); err != nil {
		return err
	}
	key := keyOf(pkg)
	l, err := p.fleet.Acquire(ctx, key, "")
	if err != nil {
		if ctx.Err() != nil {
			return abandoned()
		}
		return p.whyUnfit(key, err)
	}
	check, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	health, err := l.Instance().Health(check)
	l.Release(err == nil)
	switch {
	case ctx.Err() != nil:
		return abandoned()
	case err != nil:
		return unfit(key, supervisor.Hang, "it does not answer when asked for its health", err)
	case !health.Serving:
		return unfit(key, supervisor.NotServing, health.Message, nil)
	}
	return nil
}

// whyUnfit returns the fault of a package whose process takes no calls: err says so,
// and the fleet knows why.
func (p *processes) whyUnfit(key supervisor.Key, err error) error {
	if fault.CodeOf(err) != fault.AdapterUnavailable {
		return err // of the host
	}
	for _, s := range p.fleet.Status() {
		if s.Key == key && s.Cause != "" {
			return unfit(key, s.Cause, s.Detail, err)
		}
	}
	return unfit(key, supervisor.LaunchFailed, fault.MessageOf(err), err)
}

func unfit(key supervisor.Key, cause supervisor.Cause, detail string, err error) error {
	var faults strictjson.Faults
	faults.AddAt(key.Version, string(cause), "%s; %s", detail, cause.Remedy())
	return &fault.Error{
		Code: fault.Conflict, Class: fault.Permanent, Source: fault.Host,
		Msg: fmt.Sprintf("version %s of %s takes no calls: %s; nothing was changed, and the process before it goes on",
			key.Version, key.Adapter, cause),
		Err: errors.Join(faults, err),
	}
}

// giveUp ends the processes of packages that were tried and not installed.
func (p *processes) giveUp(tried []*catalog.Package) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pkg := range tried {
		key := keyOf(pkg)
		// One that was installed before, and drains, ends in its own time.
		if u := p.used[key]; u != nil && u.replaced.IsZero() {
			u.replaced = time.Now()
			p.retire(key, u)
		}
	}
}

// markReplaced notes of which processes of the adapter the packages are installed no
// more, and of which they are again.
func (p *processes) markReplaced(adapter string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, u := range p.used {
		if key.Adapter != adapter {
			continue
		}
		pkg, err := p.catalog.Lookup(key.Adapter, key.Version)
		switch {
		case err == nil && pkg.Digest == key.Digest:
			u.replaced = time.Time{}
		case u.replaced.IsZero():
			u.replaced = now
		}
	}
}
