package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// route is one line of the route table.
type route struct {
	method, path string
	// id names the operation.
	id      string
	summary string
	detail  string
	tag     string
	right   right
	body    bodyKind
	// bodyType is a value of the type that describes the body.
	bodyType any
	// status is the success status that the document shows first.
	status int
	// also are further success statuses with the same body.
	also []int
	// codes are the problems that the route raises beside those that its right
	// and body bring along.
	codes []fault.Code
	// query are the names of the query parameters, filled in by register.
	query []string
}

// The problems that belong together.
var (
	guardedCodes = []fault.Code{
		fault.Unauthenticated, fault.MalformedRequest, fault.InvalidFields,
		fault.Overloaded, fault.ShuttingDown, fault.Internal,
	}
	bodyCodes = []fault.Code{fault.UnsupportedMediaType, fault.RequestTooLarge}
	// sendCodes are those of a call to an adapter.
	sendCodes = []fault.Code{
		fault.AdapterDisabled, fault.TenantNotFound, fault.AdapterNotFound,
		fault.OutcomeUnsettled, fault.InProgress, fault.AlreadyLogged, fault.Conflict,
		fault.CRMRejected, fault.CRMUnauthorized, fault.RateLimited,
		fault.AdapterFault, fault.NotSupported, fault.AdapterUnavailable, fault.CRMUnavailable, fault.Outcome,
	}
	// settleCodes are those of a change of an entry by a person.
	settleCodes = []fault.Code{
		fault.TenantNotFound, fault.MessageLogNotFound,
		fault.OutcomeUnsettled, fault.InProgress, fault.AlreadyLogged, fault.Conflict, fault.Outcome,
	}
)

// problems returns every code that the route raises, in the order of fault.Codes.
func (r *route) problems() []fault.Code {
	raised := slices.Clone(r.codes)
	if r.right != anyone {
		raised = append(raised, guardedCodes...)
	}
	if r.right == ownTenant || r.right == adminOnly {
		raised = append(raised, fault.Forbidden)
	}
	if r.body != noBody {
		raised = append(raised, bodyCodes...)
	}
	return slices.DeleteFunc(fault.Codes(), func(c fault.Code) bool { return !slices.Contains(raised, c) })
}

// handler answers a request that was admitted.
type handler[I, O any] func(ctx context.Context, rq *request, in *I) (*O, error)

// register adds a route to the router and to the OpenAPI document. Path and query
// parameters come from I, headers and body of the answer from O. huma itself is
// told to check nothing: its own errors repeat values.
func register[I, O any](a *API, r route, handle handler[I, O]) {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.detail,
		Tags: []string{r.tag}, DefaultStatus: r.status, SkipValidateParams: true, SkipValidateBody: true,
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		rq := from(ctx)
		if err := a.enter(rq); err != nil {
			return nil, a.problem(rq, err)
		}
		defer a.leave()
		if err := a.admit(rq, &r); err != nil {
			return nil, a.problem(rq, err)
		}
		out, err := handle(ctx, rq, in)
		if err != nil {
			return nil, a.problem(rq, err)
		}
		return out, nil
	})
	a.describe(&r)
}

// open adds a route that needs no token and answers by itself, with media.
func open(a *API, r route, media map[string]*huma.MediaType, params []*huma.Param, handle http.HandlerFunc) {
	marker{a.mux}.HandleFunc(r.method+" "+r.path, handle)
	responses := map[string]*huma.Response{}
	for _, status := range append([]int{r.status}, r.also...) {
		responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: media}
	}
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.detail,
		Tags: []string{r.tag}, Parameters: params, Responses: responses,
	})
	a.describe(&r)
}

// schemaOf returns the schema of v's type, by reference where it has a name.
func (a *API) schemaOf(v any) *huma.Schema {
	t := reflect.TypeOf(v)
	return a.huma.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}
