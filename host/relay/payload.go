package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// errPayloadGone says that the stored request was erased.
var errPayloadGone = fault.New(fault.Conflict, "the stored request of this entry was erased after its time to live")

// sealRequest returns the request as it is stored with its claim (rule 10): all
// of it but the settings, which are the tenant's of the day.
func (r *Relay) sealRequest(req *sdk.AddMessageLogRequest) ([]byte, error) {
	kept := *req
	kept.Settings = nil
	plain, err := rpc.EncodeRequest(&kept)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	sealed, err := r.deps.Sealer.Seal(plain, []byte(req.Tenant))
	if err != nil {
		return nil, fmt.Errorf("seal request: %w", err)
	}
	return sealed, nil
}

// storedRequest returns the request with which the entry was claimed, cut to the
// messages that the entry holds, with the settings of the route.
func (r *Relay) storedRequest(ctx context.Context, e ledger.Entry, route *Route) (*sdk.AddMessageLogRequest, error) {
	sealed, err := r.deps.Store.Payload(ctx, e.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errPayloadGone
	}
	if err != nil {
		return nil, fmt.Errorf("read stored request: %w", err)
	}
	plain, err := r.deps.Sealer.Unseal(sealed, []byte(e.Tenant))
	if err != nil {
		return nil, fmt.Errorf("unseal stored request: %w", err)
	}
	req, err := rpc.DecodeRequest(plain)
	if err != nil {
		return nil, fmt.Errorf("decode stored request: %w", err)
	}
	req.Messages = only(req.Messages, e.Messages)
	req.Settings = route.Manifest.MergeSettings(route.Settings, userOverrides(route, req.User))
	req.IdempotencyKey = idempotencyKey(e.Scope, e.Messages)
	req.Attempt = e.Attempts
	return req, nil
}

// userOverrides reads the user's own settings out of the stored user. They were
// checked when they came; what a newer manifest refuses is left out.
func userOverrides(route *Route, user sdk.User) sdk.Values {
	n, err := strictjson.Parse(user.Raw)
	if err != nil {
		return nil
	}
	values, faults := userSettings(route.Manifest, n)
	if len(faults) > 0 {
		return nil
	}
	return values
}

// only returns the messages with these ids, in their order.
func only(messages []sdk.Message, ids []string) []sdk.Message {
	return slices.DeleteFunc(slices.Clone(messages), func(m sdk.Message) bool {
		return !slices.Contains(ids, m.ID.String())
	})
}
