package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Tenant is a tenant as callers see it.
type Tenant struct {
	ID          string    `json:"id"`
	DisplayName string    `json:"displayName"`
	Timezone    *string   `json:"timezone" doc:"null: UTC."`
	CreatedAt   time.Time `json:"createdAt"`
}

type tenantOutput struct {
	Status   int
	Location string `header:"Location" doc:"The tenant, when it was created."`
	Body     Tenant
}

type tenantsOutput struct{ Body page[Tenant] }

type deleteTenantInput struct {
	TenantPath
	Force boolParam `query:"force" doc:"Delete it although entries of its ledger are not settled."`
}

// nothing answers with no body.
type nothing struct{}

func (a *API) tenantRoutes() {
	base := route{path: "/v1/tenants/{tenant}", tag: "Tenants", status: http.StatusOK, right: adminOnly}
	put, patch, get, del, list := base, base, base, base, base
	put.method, put.id, put.summary = http.MethodPut, "putTenant", "Create a tenant, or replace what is known of it"
	put.body, put.bodyType, put.also = jsonBody, tenantBody{}, []int{http.StatusCreated}
	put.codes = []fault.Code{fault.Conflict}
	register(a, put, a.putTenant)
	patch.method, patch.id, patch.summary = http.MethodPatch, "patchTenant", "Change a tenant by a JSON merge patch"
	patch.body, patch.bodyType, patch.codes = patchBody, tenantBody{}, []fault.Code{fault.TenantNotFound, fault.Conflict}
	register(a, patch, a.patchTenant)
	get.method, get.id, get.summary, get.right = http.MethodGet, "getTenant", "One tenant", ownTenant
	get.codes = []fault.Code{fault.TenantNotFound}
	register(a, get, a.getTenant)
	del.method, del.id, del.status = http.MethodDelete, "deleteTenant", http.StatusNoContent
	del.summary = "Delete a tenant with its enablements, settings and tokens; its ledger stays, its id is never used again"
	del.codes = []fault.Code{fault.TenantNotFound, fault.Conflict}
	register(a, del, a.deleteTenant)
	list.method, list.path, list.id, list.summary = http.MethodGet, "/v1/tenants", "listTenants", "All tenants, by id"
	register(a, list, a.listTenants)
}

func viewTenant(t tenant.Tenant) Tenant {
	return Tenant{t.ID, t.DisplayName, textOrNull(t.Timezone), t.CreatedAt.UTC()}
}

func (a *API) putTenant(ctx context.Context, rq *request, in *TenantPath) (*tenantOutput, error) {
	body, err := rq.object()
	if err != nil {
		return nil, err
	}
	t, created, err := a.deps.Directory.PutTenant(ctx, in.Tenant, body)
	if err != nil {
		return nil, err
	}
	out := &tenantOutput{Status: http.StatusOK, Body: viewTenant(t)}
	if created {
		out.Status, out.Location = http.StatusCreated, "/v1/tenants/"+t.ID
	}
	return out, nil
}

func (a *API) patchTenant(ctx context.Context, rq *request, in *TenantPath) (*tenantOutput, error) {
	body, err := rq.object()
	if err != nil {
		return nil, err
	}
	t, err := a.deps.Directory.PatchTenant(ctx, in.Tenant, body)
	if err != nil {
		return nil, err
	}
	return &tenantOutput{Status: http.StatusOK, Body: viewTenant(t)}, nil
}

func (a *API) getTenant(_ context.Context, _ *request, in *TenantPath) (*tenantOutput, error) {
	t, err := a.deps.Directory.Tenant(in.Tenant)
	if err != nil {
		return nil, err
	}
	return &tenantOutput{Status: http.StatusOK, Body: viewTenant(t)}, nil
}

func (a *API) deleteTenant(ctx context.Context, _ *request, in *deleteTenantInput) (*nothing, error) {
	var faults strictjson.Faults
	switch in.Force {
	case "", "true", "false":
	default:
		faults.AddAt("?force", strictjson.CodeInvalid, "must be true or false")
		return nil, invalid(faults)
	}
	return &nothing{}, a.deps.Directory.DeleteTenant(ctx, in.Tenant, in.Force == "true")
}

func (a *API) listTenants(_ context.Context, _ *request, in *PageInput) (*tenantsOutput, error) {
	var faults strictjson.Faults
	after, limit := in.read(&faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	tenants, next := a.deps.Directory.Tenants(after, limit)
	items := make([]Tenant, len(tenants))
	for i, t := range tenants {
		items[i] = viewTenant(t)
	}
	return &tenantsOutput{newPage(items, next)}, nil
}
