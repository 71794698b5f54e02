package relay

import (
	"context"
	"errors"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// inquiry is what a search is made with.
type inquiry struct {
	// auth replaces the stored credentials when it is set.
	auth      sdk.Secret
	requestID string
	// lent is whether a caller lends his credentials and time. Such a search does
	// not put off the host's own.
	lent bool
}

// search asks the CRM for the record of an unknown entry, or of a logged one that
// is due for an audit, and returns the entry as it is afterwards. One search of an
// entry runs at a time; a second one waits for the first and takes its result,
// unless it brings credentials and the first settled nothing.
func (r *Relay) search(ctx context.Context, e ledger.Entry, q inquiry) ledger.Entry {
	for {
		done, first := r.beginSearch(e.ID)
		if first {
			break
		}
		select {
		case <-done:
		case <-ctx.Done():
		}
		if e = r.reread(ctx, e); q.auth.IsZero() || e.State != ledger.Unknown || ctx.Err() != nil {
			return e
		}
	}
	defer r.endSearch(e.ID)
	if e = r.reread(ctx, e); e.State != ledger.Unknown && e.Audits == 0 {
		return e // settled meanwhile
	}
	ev, err := r.ask(ctx, e, q)
	if err != nil {
		r.log.WarnContext(ctx, "search not made", "message_log_id", e.ID, "adapter", e.Adapter, "error", err)
		if ctx.Err() != nil {
			return e // cut short: it says nothing of the CRM
		}
		ev = ledger.CannotTell{
			Epoch: e.Epoch, RetryAfter: waitAfter(err), Never: errors.Is(err, errPayloadGone), Lent: q.lent,
		}
	}
	res, err := r.apply(ctx, e.ID, ev)
	if err != nil {
		r.log.ErrorContext(ctx, "search result not written", "message_log_id", e.ID, "error", err)
		return e
	}
	return res.Entry
}

// waitAfter returns how long to wait after a search that could not be made; 0
// leaves it to the backoff.
func waitAfter(err error) time.Duration {
	switch fault.CodeOf(err) {
	case fault.TenantNotFound, fault.AdapterNotFound, fault.AdapterDisabled:
		return time.Hour // until a person changes something
	default:
		return fault.RetryAfterOf(err)
	}
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
func (r *Relay) ask(ctx context.Context, e ledger.Entry, q inquiry) (ledger.Event, error) {
	route, err := r.deps.Routes.Route(e.Tenant, e.Adapter) // a disabled one will do
	if err != nil {
		return nil, err
	}
	req, err := r.storedRequest(ctx, e, route)
	if err != nil {
		return nil, err
	}
	lent := !ownCredentials(e, req, q)
	if !q.auth.IsZero() {
		req.AuthHeader = q.auth
	}
	ctx, cancel := context.WithTimeout(ctx, route.Manifest.Run.Limits.CallTimeout)
	defer cancel()
	proc, err := r.deps.Adapters.Acquire(ctx, route.target(q.requestID))
	if err != nil {
		return nil, err
	}
	if !proc.CanFind() {
		proc.Release(false)
		return nil, fault.Unsupported("the adapter cannot search for message logs")
	}
	// Asked before the search begins: a call that returns meanwhile may still
	// have written.
	dead, began := r.dead(e.ID), time.Now()
	found, err := proc.FindMessageLog(ctx, &sdk.FindMessageLogRequest{
		Original: req, IdempotencyKey: req.IdempotencyKey,
		SentAfter: r.hostTime(e.FirstSentAt), SentBefore: r.hostTime(e.SettlesAt), Lent: lent,
	})
	proc.Release(!errors.Is(err, rpc.ErrBrokenOff))
	if err != nil {
		return nil, err
	}
	ev := verdict(e, found, dead, began, q.lent)
	if f, ok := ev.(ledger.Found); ok {
		f.URL = r.logPage(e, f.LogIDs[0])
		ev = f
	}
	return ev, nil
}

// ownCredentials reports whether the search is surely made with the credentials
// that made the record: those that are stored, unless the entry was sent again. A
// retry may bring its own, which are stored nowhere.
func ownCredentials(e ledger.Entry, stored *sdk.AddMessageLogRequest, q inquiry) bool {
	return e.Attempts <= 1 && (q.auth.IsZero() || q.auth.Reveal() == stored.AuthHeader.Reveal())
}

// logPage returns the page on which a person sees the entry's record; empty when
// the adapter knows none.
func (r *Relay) logPage(e ledger.Entry, logID string) string {
	route, err := r.deps.Routes.Route(e.Tenant, e.Adapter)
	if err != nil {
		return ""
	}
	return route.Manifest.LogPage(e.Account, e.ContactType, e.ContactID, logID)
}

// verdict turns an adapter's answer into an event.
func verdict(e ledger.Entry, found *sdk.FindMessageLogResponse, dead bool, began time.Time, lent bool) ledger.Event {
	switch {
	case found.Verdict == sdk.VerdictFound && len(found.LogIDs) > 0:
		return ledger.Found{
			Epoch: e.Epoch, LogIDs: found.LogIDs, Complete: found.Complete, Return: returnMessage(found.ReturnMessage),
		}
	case found.Verdict == sdk.VerdictNotFound:
		// "Not found" speaks of the moment the search began, or of an earlier one
		// when the CRM says so itself.
		age := store.Elapsed(began)
		if !found.AsOf.IsZero() && found.AsOf.Before(began) {
			age += began.Round(0).Sub(found.AsOf)
		}
		return ledger.NotFound{Epoch: e.Epoch, Age: age, Dead: dead, Lent: lent}
	default:
		return ledger.CannotTell{Epoch: e.Epoch, RetryAfter: found.RetryAfter, Lent: lent}
	}
}
