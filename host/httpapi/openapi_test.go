package httpapi_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// wantRoutes is the contract's route table.
var wantRoutes = []string{
	"delete /v1/tenants/{tenant}",
	"delete /v1/tenants/{tenant}/adapters/{adapter}",
	"delete /v1/tenants/{tenant}/tokens/{id}",
	"get /healthz",
	"get /metrics",
	"get /openapi.json",
	"get /problems/{code}",
	"get /readyz",
	"get /v1/adapters",
	"get /v1/adapters/{adapter}",
	"get /v1/adapters/{adapter}/crashes",
	"get /v1/adapters/{adapter}/versions/{version}/manifest",
	"get /v1/tenants",
	"get /v1/tenants/{tenant}",
	"get /v1/tenants/{tenant}/adapters",
	"get /v1/tenants/{tenant}/adapters/{adapter}",
	"get /v1/tenants/{tenant}/message-logs",
	"get /v1/tenants/{tenant}/message-logs/{id}",
	"get /v1/tenants/{tenant}/tokens",
	"patch /v1/tenants/{tenant}",
	"patch /v1/tenants/{tenant}/adapters/{adapter}",
	"post /v1/adapters/{adapter}/install",
	"post /v1/adapters/{adapter}/restart",
	"post /v1/adapters/{adapter}/unquarantine",
	"post /v1/tenants/{tenant}/adapters/{adapter}/message-logs",
	"post /v1/tenants/{tenant}/message-logs/{id}/forget",
	"post /v1/tenants/{tenant}/message-logs/{id}/resolve",
	"post /v1/tenants/{tenant}/message-logs/{id}/retry",
	"post /v1/tenants/{tenant}/tokens",
	"put /v1/tenants/{tenant}",
	"put /v1/tenants/{tenant}/adapters/{adapter}",
}

// document returns the OpenAPI document of a fresh API.
func document(t *testing.T) *spec {
	t.Helper()
	f := setup(t)
	return parseSpec(t, []byte(f.do(http.MethodGet, "/openapi.json", "", "").want(t, http.StatusOK).body))
}

func TestDocumentListsEveryRoute(t *testing.T) {
	t.Parallel()
	s := document(t)
	var got []string
	for path := range s.object("paths") {
		for method := range s.object("paths", path) {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, wantRoutes) {
		t.Errorf("routes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(wantRoutes, "\n"))
	}
}

// The rules of OpenAPI 3.1 that a program that reads the document relies on.
func TestDocumentIsWellFormed(t *testing.T) {
	t.Parallel()
	s := document(t)
	if s.doc["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", s.doc["openapi"])
	}
	info := s.object("info")
	if info["title"] == "" || info["version"] != "1.2.3" {
		t.Errorf("info is %v", info)
	}
	for name := range s.object("components", "schemas") {
		if _, err := s.schema("components", "schemas", name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	ids := map[string]bool{}
	for path := range s.object("paths") {
		for method := range s.object("paths", path) {
			t.Run(method+" "+path, func(t *testing.T) {
				op := s.object("paths", path, method)
				id, _ := op["operationId"].(string)
				if id == "" || ids[id] {
					t.Errorf("operationId %q is empty or stands twice", id)
				}
				ids[id] = true
				if summary, _ := op["summary"].(string); summary == "" {
					t.Error("no summary")
				}
				checkParameters(t, s, path, op)
				checkContents(t, s, path, method)
			})
		}
	}
}

// checkParameters checks that the path's parameters are those declared.
func checkParameters(t *testing.T, s *spec, path string, op map[string]any) {
	t.Helper()
	inPath := map[string]bool{}
	for _, m := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(path, -1) {
		inPath[m[1]] = true
	}
	parameters, _ := op["parameters"].([]any)
	for _, one := range parameters {
		p := one.(map[string]any)
		if p["schema"] == nil {
			t.Errorf("parameter %v has no schema", p["name"])
		}
		if p["in"] == "path" {
			if p["required"] != true || !inPath[p["name"].(string)] {
				t.Errorf("parameter %v is not required, or not in the path", p["name"])
			}
			delete(inPath, p["name"].(string))
		}
	}
	if len(inPath) > 0 {
		t.Errorf("parameters %v are not declared", slices.Collect(maps.Keys(inPath)))
	}
	if _, secured := op["security"]; secured != strings.HasPrefix(path, "/v1/") {
		t.Errorf("security is %v", op["security"])
	}
	if s.object("components", "securitySchemes", "token")["scheme"] != "bearer" {
		t.Error("no security scheme")
	}
}

// checkContents checks that every schema of an operation compiles.
func checkContents(t *testing.T, s *spec, path, method string) {
	t.Helper()
	responses := s.object("paths", path, method, "responses")
	if len(responses) == 0 {
		t.Error("no responses")
	}
	for status := range responses {
		if text, _ := s.object("paths", path, method, "responses", status)["description"].(string); text == "" {
			t.Errorf("response %s has no description", status)
		}
		for media := range s.object("paths", path, method, "responses", status, "content") {
			if _, err := s.schema("paths", path, method, "responses", status, "content", media, "schema"); err != nil {
				t.Errorf("response %s: %v", status, err)
			}
		}
	}
	for media := range s.object("paths", path, method, "requestBody", "content") {
		if _, err := s.schema("paths", path, method, "requestBody", "content", media, "schema"); err != nil {
			t.Errorf("request: %v", err)
		}
	}
}

func TestDocumentListsEveryCode(t *testing.T) {
	t.Parallel()
	s := document(t)
	listed := fmt.Sprint(s.object("components", "schemas", "Problem", "properties", "code")["enum"])
	for _, code := range fault.Codes() {
		if !strings.Contains(listed, string(code)) {
			t.Errorf("code %s is not in the schema of problems", code)
		}
	}
}

// A body that the document describes must be one that the route takes, and the
// other way round: the two are written in different places.
func TestDocumentedMembersAreThoseTaken(t *testing.T) {
	t.Parallel()
	for _, route := range bodyRoutes {
		if route.relay {
			continue // package relay reads this body
		}
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.do(http.MethodGet, "/healthz", "", "")
			doc := theSpec.spec
			schema := doc.object("paths", doc.path(route.path), strings.ToLower(route.method),
				"requestBody", "content", "application/json", "schema")
			name := strings.TrimPrefix(schema["$ref"].(string), "#/components/schemas/")
			for member := range doc.object("components", "schemas", name, "properties") {
				// A value of the wrong type is a fault of its own; an unknown member
				// is another one.
				r := f.do(route.method, route.path, adminToken, `{"`+member+`":[[]]}`)
				for _, e := range r.refused(t, fault.InvalidFields).Errors {
					if e.Code == "unknown_member" {
						t.Errorf("the documented member %s is not taken", member)
					}
				}
			}
			p := f.do(route.method, route.path, adminToken, `{"strange":1}`).refused(t, fault.InvalidFields)
			if !slices.ContainsFunc(p.Errors, func(e fieldFault) bool { return e.Pointer == "/strange" && e.Code == "unknown_member" }) {
				t.Errorf("a strange member is taken: %v", p.Errors)
			}
			if doc.object("components", "schemas", name)["additionalProperties"] != false {
				t.Error("the document says that strange members are taken")
			}
		})
	}
}
