package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Enablement is an adapter switched on or off for a tenant, as callers see it.
type Enablement struct {
	Adapter       string         `json:"adapter"`
	Enabled       bool           `json:"enabled"`
	Version       *string        `json:"version" doc:"null only when it was never enabled."`
	Isolation     *string        `json:"isolation" enum:"shared,dedicated" doc:"In force: the tenant's choice, else the manifest's; null when neither is known."`
	OnUnavailable string         `json:"onUnavailable" enum:"fail,queue"`
	Settings      map[string]any `json:"settings" doc:"Without the manifest's defaults. Secret values read [redacted]."`
	CreatedAt     time.Time      `json:"createdAt"`
	UpdatedAt     time.Time      `json:"updatedAt"`
}

type enablementPath struct {
	TenantPath
	AdapterPath
}

type enablementOutput struct {
	Status   int
	Location string `header:"Location" doc:"The enablement, when it was created."`
	Body     Enablement
}

type enablementsInput struct {
	TenantPath
	PageInput
}

type enablementsOutput struct{ Body page[Enablement] }

func (a *API) enablementRoutes() {
	base := route{
		path: "/v1/tenants/{tenant}/adapters/{adapter}", tag: "Enablements", status: http.StatusOK, right: adminOnly,
		codes: []fault.Code{fault.TenantNotFound, fault.AdapterNotFound},
	}
	put, patch, get, del, list := base, base, base, base, base
	put.method, put.id, put.summary = http.MethodPut, "putEnablement", "Switch an adapter on or off for a tenant, with its settings"
	put.body, put.bodyType, put.also = jsonBody, enablementBody{}, []int{http.StatusCreated}
	put.codes = append([]fault.Code{fault.Conflict}, base.codes...)
	register(a, put, a.putEnablement)
	patch.method, patch.id, patch.summary = http.MethodPatch, "patchEnablement", "Change an enablement by a JSON merge patch"
	patch.detail = "An adapter that was never enabled is patched as if it had been disabled, so {\"enabled\":true} enables it."
	patch.body, patch.bodyType, patch.codes = patchBody, enablementPatch{}, put.codes
	register(a, patch, a.patchEnablement)
	get.method, get.id, get.summary, get.right = http.MethodGet, "getEnablement", "One enablement", ownTenant
	register(a, get, a.getEnablement)
	del.method, del.id, del.status = http.MethodDelete, "deleteEnablement", http.StatusNoContent
	del.summary = "Delete an enablement and its settings; may be repeated"
	del.codes = []fault.Code{fault.TenantNotFound, fault.Conflict}
	register(a, del, a.deleteEnablement)
	list.method, list.path, list.id = http.MethodGet, "/v1/tenants/{tenant}/adapters", "listEnablements"
	list.summary, list.right, list.codes = "A tenant's enablements, by adapter", ownTenant, []fault.Code{fault.TenantNotFound}
	register(a, list, a.listEnablements)
}

func viewEnablement(e tenant.Enablement) Enablement {
	settings := make(map[string]any, len(e.Settings))
	for id, value := range e.Settings {
		settings[id] = value.Raw()
	}
	return Enablement{
		Adapter: e.Adapter, Enabled: e.Enabled, Version: textOrNull(e.Version),
		Isolation: textOrNull(string(e.Isolation)), OnUnavailable: e.OnUnavailable, Settings: settings,
		CreatedAt: e.CreatedAt.UTC(), UpdatedAt: e.UpdatedAt.UTC(),
	}
}

func (a *API) putEnablement(ctx context.Context, rq *request, in *enablementPath) (*enablementOutput, error) {
	body, err := rq.object()
	if err != nil {
		return nil, err
	}
	e, created, err := a.deps.Directory.PutEnablement(ctx, in.Tenant, in.Adapter, body)
	if err != nil {
		return nil, err
	}
	out := &enablementOutput{Status: http.StatusOK, Body: viewEnablement(e)}
	if created {
		out.Status, out.Location = http.StatusCreated, "/v1/tenants/"+e.Tenant+"/adapters/"+e.Adapter
	}
	return out, nil
}

func (a *API) patchEnablement(ctx context.Context, rq *request, in *enablementPath) (*enablementOutput, error) {
	body, err := rq.object()
	if err != nil {
		return nil, err
	}
	e, err := a.deps.Directory.PatchEnablement(ctx, in.Tenant, in.Adapter, body)
	if err != nil {
		return nil, err
	}
	return &enablementOutput{Status: http.StatusOK, Body: viewEnablement(e)}, nil
}

func (a *API) getEnablement(_ context.Context, _ *request, in *enablementPath) (*enablementOutput, error) {
	e, err := a.deps.Directory.Enablement(in.Tenant, in.Adapter)
	if err != nil {
		return nil, err
	}
	return &enablementOutput{Status: http.StatusOK, Body: viewEnablement(e)}, nil
}

func (a *API) deleteEnablement(ctx context.Context, _ *request, in *enablementPath) (*nothing, error) {
	return &nothing{}, a.deps.Directory.DeleteEnablement(ctx, in.Tenant, in.Adapter)
}

func (a *API) listEnablements(_ context.Context, _ *request, in *enablementsInput) (*enablementsOutput, error) {
	var faults strictjson.Faults
	after, limit := in.read(&faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	enablements, next, err := a.deps.Directory.Enablements(in.Tenant, after, limit)
	if err != nil {
		return nil, err
	}
	items := make([]Enablement, len(enablements))
	for i, e := range enablements {
		items[i] = viewEnablement(e)
	}
	return &enablementsOutput{newPage(items, next)}, nil
}
