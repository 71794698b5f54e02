package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// bearerScheme names the security scheme in the document.
const bearerScheme = "token"

// humaConfig is huma without what it adds by itself: no $schema links, no pages
// of its own, one format.
func humaConfig(version string) huma.Config {
	format := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Patchbay",
				Version: version,
				Description: "Relays addMessageLog calls to CRM adapters, each message once. " +
					"Every refusal is a problem (RFC 9457); /problems/{code} explains each code.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{bearerScheme: {
					Type: "http", Scheme: "bearer",
					Description: "The admin token opens everything; a tenant's token opens what is its own.",
				}},
			},
		},
		Formats:       map[string]huma.Format{typeJSON: format, "json": format},
		DefaultFormat: typeJSON,
	}
}

// marshal writes v in one piece. That the caller has gone is no error: huma would
// panic for it.
func marshal(w io.Writer, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, _ = w.Write(body.Bytes())
	return nil
}

// describe completes the operation of a route in the OpenAPI document: security,
// body, and every problem that it raises. It also notes the route's query
// parameters.
func (a *API) describe(r *route) {
	op := operation(a.huma.OpenAPI(), r.method, r.path)
	delete(op.Responses, "default")
	for _, p := range op.Parameters {
		if p.In == "query" {
			r.query = append(r.query, p.Name)
		}
	}
	if r.right != anyone {
		op.Security = []map[string][]string{{bearerScheme: {}}}
	}
	if r.body != noBody {
		op.RequestBody = &huma.RequestBody{Required: r.body != optionalBody, Content: map[string]*huma.MediaType{}}
		schema := a.schemaOf(r.bodyType)
		for _, media := range r.body.mediaTypes() {
			op.RequestBody.Content[media] = &huma.MediaType{Schema: schema}
		}
	}
	for _, status := range r.also {
		same := *op.Responses[strconv.Itoa(r.status)]
		same.Description = http.StatusText(status)
		op.Responses[strconv.Itoa(status)] = &same
	}
	byStatus := map[int][]string{}
	for _, code := range r.problems() {
		byStatus[problems[code]] = append(byStatus[problems[code]], string(code))
	}
	for status, codes := range byStatus {
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: strings.Join(codes, ", "),
			Headers:     problemHeaders(status),
			Content:     map[string]*huma.MediaType{typeProblem: {Schema: a.schemaOf(Problem{})}},
		}
	}
	for _, response := range op.Responses {
		headers := map[string]*huma.Param{"X-Request-Id": {
			Description: "The caller's own, if it sent a sane one.", Schema: &huma.Schema{Type: "string"},
		}}
		maps.Copy(headers, response.Headers)
		response.Headers = headers
	}
}

func problemHeaders(status int) map[string]*huma.Param {
	headers := map[string]*huma.Param{"Retry-After": {
		Description: "Seconds, when it is known.", Schema: &huma.Schema{Type: "integer"},
	}}
	if status == http.StatusUnauthorized {
		headers["WWW-Authenticate"] = &huma.Param{Schema: &huma.Schema{Type: "string"}}
	}
	return headers
}

// operation returns the operation of a route, which must be there.
func operation(spec *huma.OpenAPI, method, path string) *huma.Operation {
	item := spec.Paths[path]
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	default:
		return item.Delete
	}
}

// finishSpec completes the document and returns it as JSON.
func finishSpec(spec *huma.OpenAPI) ([]byte, error) {
	code := spec.Components.Schemas.Map()["Problem"].Properties["code"]
	for _, c := range fault.Codes() {
		code.Enum = append(code.Enum, string(c))
	}
	for _, schema := range spec.Components.Schemas.Map() {
		for _, property := range schema.Properties {
			if property.Type == "array" {
				property.Nullable = false // no list of ours is ever null
			}
			if property.Nullable && len(property.Enum) > 0 {
				property.Enum = append(property.Enum, nil) // an enum has to list null too
			}
		}
	}
	out, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return append(out, '\n'), nil
}

func (a *API) openapi(w http.ResponseWriter, r *http.Request) {
	spec, err := a.spec()
	if err != nil {
		a.refuse(from(r.Context()), err)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	_, _ = w.Write(spec)
}
