package relay

import (
	"context"
	"errors"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// search asks the CRM for the record of an unknown entry, or of a logged one that
// is due for an audit, and returns the entry as it is afterwards. auth replaces
// the stored credentials when it is set. One search of an entry runs at a time;
// a second one waits for the first and takes its result.
func (r *Relay) search(ctx context.Context, e ledger.Entry, auth sdk.Secret, requestID string) ledger.Entry {
	done, first := r.beginSearch(e.ID)
	if !first {
		select {
		case <-done:
		case <-ctx.Done():
		}
		return r.reread(ctx, e)
	}
	defer r.endSearch(e.ID)
	if e = r.reread(ctx, e); e.State != ledger.Unknown && e.Audits == 0 {
		return e // settled meanwhile
	}
	ev, err := r.ask(ctx, e, auth, requestID)
	if err != nil {
		r.log.WarnContext(ctx, "search not made", "message_log_id", e.ID, "adapter", e.Adapter, "error", err)
		ev = ledger.CannotTell{
			Epoch: e.Epoch, RetryAfter: fault.RetryAfterOf(err), Never: errors.Is(err, errPayloadGone),
		}
	}
	res, err := r.apply(ctx, e.ID, ev)
	if err != nil {
		r.log.ErrorContext(ctx, "search result not written", "message_log_id", e.ID, "error", err)
		return e
	}
	return res.Entry
}

func (r *Relay) beginSearch(id string) (done chan struct{}, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if done, busy := r.searching[id]; busy {
		return done, false
	}
	done = make(chan struct{})
	r.searching[id] = done
	return done, true
}

func (r *Relay) endSearch(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.searching[id])
	delete(r.searching, id)
}

// reread returns the entry as it stands, or as it was when it cannot be read.
func (r *Relay) reread(ctx context.Context, e ledger.Entry) ledger.Entry {
	now, err := r.deps.Store.Entry(context.WithoutCancel(ctx), e.Tenant, e.ID)
	if err != nil {
		r.log.WarnContext(ctx, "message log not read", "message_log_id", e.ID, "error", err)
		return e
	}
	return now
}

// ask runs one search and returns what it showed as an event.
func (r *Relay) ask(ctx context.Context, e ledger.Entry, auth sdk.Secret, requestID string) (ledger.Event, error) {
	route, err := r.deps.Routes.Route(e.Tenant, e.Adapter) // a disabled one will do
	if err != nil {
		return nil, err
	}
	req, err := r.storedRequest(ctx, e, route)
	if err != nil {
		return nil, err
	}
	if !auth.IsZero() {
		req.AuthHeader = auth
	}
	proc, err := r.deps.Adapters.Acquire(ctx, Target{
		Tenant: e.Tenant, Adapter: e.Adapter, Version: route.Version, RequestID: requestID,
	})
	if err != nil {
		return nil, err
	}
	if !proc.CanFind() {
		proc.Release(false)
		return nil, fault.Unsupported("the adapter cannot search for message logs")
	}
	ctx, cancel := context.WithTimeout(ctx, route.Manifest.Run.Limits.CallTimeout)
	defer cancel()
	// Asked before the search begins: a call that returns meanwhile may still
	// have written.
	dead, began := r.dead(e.ID), time.Now()
	found, err := proc.FindMessageLog(ctx, &sdk.FindMessageLogRequest{
		Original: req, IdempotencyKey: req.IdempotencyKey,
		SentAfter: r.hostTime(e.FirstSentAt), SentBefore: r.hostTime(e.SettlesAt),
	})
	proc.Release(!brokenOff(err))
	if err != nil {
		return nil, err
	}
	return verdict(e, found, dead, began), nil
}

// verdict turns an adapter's answer into an event.
func verdict(e ledger.Entry, found *sdk.FindMessageLogResponse, dead bool, began time.Time) ledger.Event {
	switch {
	case found.Verdict == sdk.VerdictFound && len(found.LogIDs) > 0:
		return ledger.Found{Epoch: e.Epoch, LogIDs: found.LogIDs, Complete: found.Complete}
	case found.Verdict == sdk.VerdictNotFound:
		// "Not found" speaks of the moment the search began, or of an earlier one
		// when the CRM says so itself.
		age := time.Since(began)
		if !found.AsOf.IsZero() && found.AsOf.Before(began) {
			age += began.Round(0).Sub(found.AsOf)
		}
		return ledger.NotFound{Epoch: e.Epoch, Age: age, Dead: dead}
	default:
		return ledger.CannotTell{Epoch: e.Epoch, RetryAfter: found.RetryAfter}
	}
}
