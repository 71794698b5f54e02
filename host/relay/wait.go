package relay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// await waits for the messages that others hold. It reports whether some of them
// became free, to be claimed anew.
func (j *job) await(ctx context.Context) (free bool, err error) {
	for {
		missing := j.missing()
		if len(missing) == 0 {
			return false, nil
		}
		watched := j.holdersOf(missing)
		changed, leave := j.r.hub.watch(watched)
		state, err := j.look(ctx, missing)
		if err != nil || state != waiting {
			leave()
			return state == someFree, err
		}
		if !slices.Equal(watched, j.holdersOf(missing)) {
			leave() // others hold them now: watch those
			continue
		}
		select {
		case <-changed:
			leave()
		case <-ctx.Done():
			leave()
			if j.anyUnknown(missing) {
				return false, fault.New(fault.OutcomeUnsettled, "")
			}
			return false, inProgress(nil)
		}
	}
}

// holdersOf returns the ids of the entries that hold these messages.
func (j *job) holdersOf(messages []string) []string {
	var out []string
	for _, m := range messages {
		if e, held := j.holders[m]; held && !slices.Contains(out, e.ID) {
			out = append(out, e.ID)
		}
	}
	return out
}

// sight is what a look at the missing messages showed.
type sight int

const (
	allLogged sight = iota
	waiting         // others are at work on them
	someFree        // nobody holds some of them any more
)

// look reads who holds the missing messages now and has unknown entries searched
// for with this request's credentials (rule 10).
func (j *job) look(ctx context.Context, missing []string) (sight, error) {
	holders, err := j.r.deps.Store.Holders(context.WithoutCancel(ctx), j.scope, missing)
	if err != nil && j.anyUnknown(missing) {
		return waiting, &fault.Error{Code: fault.OutcomeUnsettled, Class: fault.Unknown, Err: fmt.Errorf("read holders: %w", err)}
	}
	if err != nil {
		return waiting, &fault.Error{
			Code: fault.InProgress, Class: fault.Retryable, RetryAfter: time.Second,
			Msg: "the ledger cannot be read", Err: fmt.Errorf("read holders: %w", err),
		}
	}
	for _, id := range missing {
		delete(j.holders, id)
	}
	j.hold(holders...)
	if len(holders) < len(missing) {
		return someFree, nil
	}
	state, unknown := allLogged, 0
	for _, id := range missing {
		switch e := j.holders[id]; {
		case e.State == ledger.Logged:
		case e.State == ledger.Unknown && j.lent[e.ID]:
			unknown++
		case e.State == ledger.Unknown:
			j.lent[e.ID] = true
			j.r.search(ctx, e, inquiry{auth: j.req.AuthHeader, requestID: j.requestID, lent: true})
			return j.look(ctx, missing)
		default:
			state = waiting
		}
	}
	if unknown > 0 && state != waiting {
		return state, fault.New(fault.OutcomeUnsettled, "")
	}
	return state, nil
}
