package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Token is a tenant's API token as callers see it; never the token itself.
type Token struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt" doc:"null: never."`
}

// NewToken is the answer to the making of a token.
type NewToken struct {
	ID    string `json:"id"`
	Token string `json:"token" doc:"The token. It is shown this once."`
}

type newTokenOutput struct{ Body NewToken }

type tokensOutput struct{ Body page[Token] }

type tokenPath struct {
	TenantPath
	ID string `path:"id" doc:"The token's id."`
}

func (a *API) tokenRoutes() {
	register(a, route{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/tokens",
		id: "createToken", tag: "Tokens", summary: "Make an API token of a tenant", right: adminOnly,
		body: jsonBody, bodyType: tokenBody{}, status: http.StatusCreated,
		codes: []fault.Code{fault.TenantNotFound, fault.Conflict},
	}, a.createToken)
	register(a, route{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/tokens",
		id: "listTokens", tag: "Tokens", summary: "A tenant's API tokens, oldest first", right: adminOnly,
		status: http.StatusOK, codes: []fault.Code{fault.TenantNotFound},
	}, a.listTokens)
	register(a, route{
		method: http.MethodDelete, path: "/v1/tenants/{tenant}/tokens/{id}",
		id: "revokeToken", tag: "Tokens", summary: "Revoke an API token; may be repeated", right: adminOnly,
		status: http.StatusNoContent, codes: []fault.Code{fault.TenantNotFound, fault.Conflict},
	}, a.revokeToken)
}

func (a *API) createToken(ctx context.Context, rq *request, in *TenantPath) (*newTokenOutput, error) {
	body, err := rq.object()
	if err != nil {
		return nil, err
	}
	made, secret, err := a.deps.Directory.CreateToken(ctx, in.Tenant, body)
	if err != nil {
		return nil, err
	}
	return &newTokenOutput{NewToken{ID: made.ID, Token: secret.Reveal()}}, nil
}

func (a *API) listTokens(_ context.Context, _ *request, in *enablementsInput) (*tokensOutput, error) {
	var faults strictjson.Faults
	after, limit := in.read(&faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	tokens, next, err := a.deps.Directory.Tokens(in.Tenant, after, limit)
	if err != nil {
		return nil, err
	}
	items := make([]Token, len(tokens))
	for i, t := range tokens {
		items[i] = Token{t.ID, t.Name, t.CreatedAt.UTC(), timeOrNull(t.ExpiresAt)}
	}
	return &tokensOutput{newPage(items, next)}, nil
}

func (a *API) revokeToken(ctx context.Context, _ *request, in *tokenPath) (*nothing, error) {
	return &nothing{}, a.deps.Directory.RevokeToken(ctx, in.Tenant, in.ID)
}
