package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// routes registers every route.
func (a *API) routes() {
	a.messageLogRoutes()
	a.tenantRoutes()
	a.enablementRoutes()
	a.tokenRoutes()
	a.adapterRoutes()
	a.openRoutes()
}

// Health is the answer of the probes.
type Health struct {
	Status string `json:"status" enum:"ok,unready,draining"`
	Detail string `json:"detail,omitempty" doc:"What the host waits for."`
}

// openRoutes registers the routes that need no token.
func (a *API) openRoutes() {
	health := map[string]*huma.MediaType{typeJSON: {Schema: a.schemaOf(Health{})}}
	open(a, route{
		method: http.MethodGet, path: "/healthz", id: "healthz", tag: "Host", status: http.StatusOK,
		summary: "Whether the host's process works",
	}, health, nil, a.healthz)
	open(a, route{
		method: http.MethodGet, path: "/readyz", id: "readyz", tag: "Host", status: http.StatusOK,
		also:    []int{http.StatusServiceUnavailable},
		summary: "Whether calls should be sent to this host; 503 while it starts or stops",
	}, health, nil, a.readyz)
	text := &huma.Schema{Type: "string"}
	open(a, route{
		method: http.MethodGet, path: "/metrics", id: "metrics", tag: "Host", status: http.StatusOK,
		summary: "Metrics in the text format of Prometheus",
	}, map[string]*huma.MediaType{"text/plain": {Schema: text}}, nil, a.metrics.ServeHTTP)
	open(a, route{
		method: http.MethodGet, path: "/openapi.json", id: "openapi", tag: "Host", status: http.StatusOK,
		summary: "This document",
	}, map[string]*huma.MediaType{typeJSON: {Schema: anyObject{}.Schema(nil)}}, nil, a.openapi)
	open(a, route{
		method: http.MethodGet, path: "/problems/{code}", id: "problem", tag: "Host", status: http.StatusOK,
		summary: "What a problem code means, and what to do", codes: []fault.Code{fault.RouteNotFound},
	}, map[string]*huma.MediaType{"text/html": {Schema: text}, typeJSON: {Schema: a.schemaOf(ProblemDoc{})}},
		[]*huma.Param{{Name: "code", In: "path", Required: true, Schema: text}}, a.problemPage)
}

func (a *API) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, typeJSON, Health{Status: "ok"})
}

func (a *API) readyz(w http.ResponseWriter, _ *http.Request) {
	if a.draining.Load() {
		writeJSON(w, http.StatusServiceUnavailable, typeJSON, Health{Status: "draining"})
		return
	}
	if err := a.deps.Ready(); err != nil {
		// Anyone may ask, so only what a fault says for callers is shown.
		health := Health{Status: "unready"}
		if f, ok := fault.As(err); ok {
			health.Detail = f.Msg
		}
		writeJSON(w, http.StatusServiceUnavailable, typeJSON, health)
		return
	}
	writeJSON(w, http.StatusOK, typeJSON, Health{Status: "ok"})
}
