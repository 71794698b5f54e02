package app

import (
	"context"
	"errors"
	"time"

	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var _ httpapi.Processes = (*processes)(nil)

// Statuses implements httpapi.Processes.
func (p *processes) Statuses() []httpapi.ProcessStatus {
	all := p.fleet.Status()
	out := make([]httpapi.ProcessStatus, len(all))
	for i, s := range all {
		out[i] = httpapi.ProcessStatus{
			Adapter: s.Key.Adapter, Version: s.Key.Version, Digest: s.Key.Digest, Tenant: s.Key.Tenant,
			State: string(s.State), Since: s.Since, PID: s.Pid, StartedAt: moment(s.Started), Restarts: s.Restarts,
			Cause: string(s.Cause), Remedy: s.Remedy, Detail: s.Detail, NextStartAt: moment(s.NextStart),
			InFlight: s.InFlight, Waiting: s.Waiting, Serving: s.Serving, Health: s.Health,
		}
		if pkg, err := p.catalog.Lookup(s.Key.Adapter, s.Key.Version); err == nil && pkg.Digest == s.Key.Digest {
			out[i].NotEnforced = pkg.Manifest.NotEnforced()
		}
		if s.State == supervisor.Ready && p.isReplaced(s.Key) {
			out[i].State = string(supervisor.Draining) // it gets no calls but those that began before
		}
	}
	return out
}

// isReplaced reports whether the process is of a package that is installed no more,
// or is on its way out.
func (p *processes) isReplaced(key supervisor.Key) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	u := p.used[key]
	return u == nil || !u.replaced.IsZero()
}

// moment returns a time that may be absent.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Crashes implements httpapi.Processes.
func (p *processes) Crashes(adapter string) []httpapi.Crash {
	all := p.fleet.Crashes(adapter)
	out := make([]httpapi.Crash, len(all))
	for i, c := range all {
		out[i] = httpapi.Crash{
			Time: c.Time, Version: c.Version, Tenant: c.Tenant, PID: c.Pid,
			Cause: string(c.Cause), Remedy: c.Remedy, Detail: c.Detail,
			ExitCode: c.ExitCode, Signal: c.Signal, UptimeMillis: c.UptimeMS,
			Stderr: c.Stderr, RequestIDs: c.RequestIDs, PeakRSSBytes: c.PeakRSSBytes, Decision: c.Decision,
		}
	}
	return out
}

// Restart implements httpapi.Processes.
func (p *processes) Restart(ctx context.Context, adapter, version, tenantID string) error {
	return p.each(ctx, adapter, version, tenantID, p.fleet.Restart)
}

// Unquarantine implements httpapi.Processes.
func (p *processes) Unquarantine(ctx context.Context, adapter, version, tenantID string) error {
	return p.each(ctx, adapter, version, tenantID, p.fleet.Unquarantine)
}

// startFault returns err, as a fault when it is a start that failed.
func startFault(key supervisor.Key, err error) error {
	var start *supervisor.StartError
	if !errors.As(err, &start) {
		return err
	}
	return &fault.Error{
		Code: fault.AdapterUnavailable, Class: fault.Retryable, Source: fault.Host,
		Msg: "version " + key.Version + " does not start: " + string(start.Cause) + "; if there was a process before, it goes on", Err: err,
	}
}

// each does something to every process of an adapter that is meant. One that
// fails does not stop the others.
func (p *processes) each(ctx context.Context, adapter, version, tenantID string, do func(context.Context, supervisor.Key) error) error {
	if tenantID != "" {
		return fault.New(fault.NotSupported, "in this version a process serves all tenants; leave tenant out")
	}
	var errs []error
	found := false
	for _, s := range p.fleet.Status() {
		if s.Key.Adapter != adapter || (version != "" && s.Key.Version != version) || p.isReplaced(s.Key) {
			continue
		}
		found = true
		errs = append(errs, startFault(s.Key, do(ctx, s.Key)))
	}
	if !found {
		return fault.New(fault.AdapterUnavailable, "no process of it runs on this host: no tenant has enabled it")
	}
	return errors.Join(errs...)
}
