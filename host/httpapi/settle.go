package httpapi

import (
	"context"
	"net/http"

	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

type retryInput struct {
	EntryPath
	WaitHeader
}

type entryOutput struct{ Body Entry }

func (a *API) settleRoutes() {
	register(a, route{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/message-logs/{id}/resolve",
		id: "resolveMessageLog", tag: "Message logs", summary: "Settle an unknown entry by a person's word",
		right: ownTenant, body: jsonBody, bodyType: resolveBody{}, status: http.StatusOK, codes: settleCodes,
	}, a.resolveMessageLog)
	register(a, route{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/message-logs/{id}/forget",
		id: "forgetMessageLog", tag: "Message logs", summary: "Free the messages of an entry whose CRM record was deleted",
		right: ownTenant, status: http.StatusOK, codes: settleCodes,
	}, a.forgetMessageLog)
}

func (a *API) retryMessageLog(ctx context.Context, rq *request, in *retryInput) (*addOutput, error) {
	s, err := rq.settlement("authHeader")
	if err != nil {
		return nil, err
	}
	wait, applied := waitOf(rq.http.Header, a.cfg.MaxWait)
	res, err := a.deps.Relay.Retry(ctx, relay.RetryCall{
		Tenant: in.Tenant, ID: in.ID, AuthHeader: s.auth, Wait: wait, RequestID: rq.id,
	})
	if err != nil {
		return nil, err
	}
	return answer(in.Tenant, res, applied), nil
}

func (a *API) resolveMessageLog(ctx context.Context, rq *request, in *EntryPath) (*entryOutput, error) {
	if _, err := rq.object(); err != nil {
		return nil, err
	}
	s, err := rq.settlement("logId", "notLogged", "authHeader")
	if err != nil {
		return nil, err
	}
	e, err := a.deps.Relay.Resolve(ctx, relay.ResolveCall{
		Tenant: in.Tenant, ID: in.ID, LogID: s.logID, NotLogged: s.notLogged, AuthHeader: s.auth, RequestID: rq.id,
	})
	if err != nil {
		return nil, err
	}
	return &entryOutput{viewEntry(e)}, nil
}

func (a *API) forgetMessageLog(ctx context.Context, _ *request, in *EntryPath) (*entryOutput, error) {
	e, err := a.deps.Relay.Forget(ctx, in.Tenant, in.ID)
	if err != nil {
		return nil, err
	}
	return &entryOutput{viewEntry(e)}, nil
}

// settlement is the body of retry and resolve. The relay checks what it says.
type settlement struct {
	logID     string
	notLogged bool
	auth      sdk.Secret
}

// settlement reads a body with these members. An absent one says nothing.
func (rq *request) settlement(members ...string) (settlement, error) {
	var s settlement
	root, err := rq.document()
	if err != nil {
		return s, err
	}
	var faults strictjson.Faults
	faults.Closed(root, members...)
	s.logID = filled(&faults, root.Get("logId"))
	if n := root.Get("notLogged"); !n.IsNull() && faults.Want(n, strictjson.True) {
		s.notLogged = n.Bool()
	}
	s.auth = sdk.NewSecret(filled(&faults, root.Get("authHeader")))
	return s, invalid(faults)
}

// filled reads a string that may be absent or null, but not empty.
func filled(faults *strictjson.Faults, n *strictjson.Node) string {
	if n.IsNull() || !faults.Want(n, strictjson.String) {
		return ""
	}
	if n.Text() == "" {
		faults.Add(n, strictjson.CodeInvalid, "must not be empty")
	}
	return n.Text()
}
