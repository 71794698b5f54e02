package pipedrive

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Adapter logs messages as activities. One Adapter serves all calls of the
// process, and all tenants: credentials come with a call and are kept nowhere.
// What it remembers are the activity types of an account.
type Adapter struct {
	crm   *crmhttp.Client
	types *typeCache
}

// New returns the adapter as its environment configures it. It makes no request.
// A faulty configuration gives an adapter that reports the fault as its health.
func New() sdk.Adapter {
	a, err := open(crmhttp.FromEnv("PIPEDRIVE"))
	if err != nil {
		return sdk.Misconfigured(err)
	}
	return a
}

// open returns the adapter that reaches Pipedrive as config says.
func open(config crmhttp.Config) (*Adapter, error) {
	config.ErrorMessage = errorMessage
	config.RetryAfter = retryAfter
	crm, err := crmhttp.New(config)
	if err != nil {
		return nil, err
	}
	return &Adapter{crm: crm, types: newTypeCache()}, nil
}

// Close lets go of the connections to the CRM. A process that ends has no need of
// it; tests have.
func (a *Adapter) Close() { a.crm.Close() }

// AddMessageLog creates one activity for the request's message, or for its group
// of messages. Whatever can be refused is refused before the activity is sent:
// after that, only Pipedrive knows.
func (a *Adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	draft, err := newActivity(req)
	if err != nil {
		return nil, err
	}
	if err := a.complete(ctx, req, &draft); err != nil {
		return nil, err
	}
	id, err := a.create(ctx, req, draft)
	if fault.CodeOf(err) == fault.CRMRejected {
		id, err = a.withAnotherType(ctx, req, draft, err)
	}
	if err != nil {
		return nil, err
	}
	slog.DebugContext(ctx, "activity created", "messages", len(req.Messages))
	return sdk.Logged(strconv.FormatInt(id, 10)), nil
}

// create sends the activity and returns its id.
func (a *Adapter) create(ctx context.Context, req *sdk.AddMessageLogRequest, draft activity) (int64, error) {
	var created struct {
		ID int64 `json:"id"`
	}
	post := crmhttp.Request{Method: http.MethodPost, Path: "/api/v2/activities", JSON: draft}
	if _, err := a.exchange(ctx, req, post, &created); err != nil {
		return 0, err
	}
	if created.ID <= 0 {
		return 0, mayHaveActed("an activity without an id")
	}
	return created.ID, nil
}

// withAnotherType deals with an activity that Pipedrive has refused for good. The
// type may be what it did not like: somebody has switched it off since it was
// remembered. Then the type that the account has now is tried once. What was
// refused made no activity, so no second one can come of it.
func (a *Adapter) withAnotherType(ctx context.Context, req *sdk.AddMessageLogRequest, draft activity, refusal error) (int64, error) {
	if accountOf(req).host == "" {
		return 0, refusal // its types are not remembered: they were read for this call
	}
	types, _, err := a.activeTypes(ctx, req, recheckAfter)
	if err != nil {
		return 0, refusal
	}
	wanted, refused := wantedType(req), draft.Type
	switch draft.Type = choose(types, wanted); draft.Type {
	case "":
		return 0, noType(types, wanted) // there is none any more: this says what to do
	case refused:
		return 0, refusal
	}
	return a.create(ctx, req, draft)
}

// complete asks Pipedrive for what the request does not say: the activity's type,
// its owner, and the organisation of the person.
func (a *Adapter) complete(ctx context.Context, req *sdk.AddMessageLogRequest, draft *activity) error {
	var err error
	if draft.Type, err = a.activityType(ctx, req); err != nil {
		return err
	}
	if draft.OwnerID == 0 {
		me, err := a.currentUser(ctx, req)
		if err != nil {
			return err
		}
		draft.OwnerID = me.ID
	}
	found, err := a.person(ctx, req, draft.Participants[0].PersonID)
	if err != nil {
		return err
	}
	draft.OrgID = found.OrgID
	return nil
}

// CheckHealth answers whether this process can serve. It does not ask Pipedrive: a
// CRM that is down makes single calls fail, and restarting the adapter would not
// help it.
func (a *Adapter) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}
