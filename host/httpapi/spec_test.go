package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// spec is the OpenAPI document as its readers see it.
type spec struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	paths    map[string]*regexp.Regexp

	mu       sync.Mutex // guards compiler and compiled
	compiled map[string]*jsonschema.Schema
}

// theSpec is the document of every API of these tests: they differ in nothing
// that it shows. Parsing it once keeps the tests quick.
var theSpec struct {
	once sync.Once
	spec *spec
}

var pathParam = regexp.MustCompile(`\\\{[a-z]+\\\}`)

func parseSpec(t testing.TB, raw []byte) *spec {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	s := &spec{
		doc: doc.(map[string]any), compiler: jsonschema.NewCompiler(),
		paths: map[string]*regexp.Regexp{}, compiled: map[string]*jsonschema.Schema{},
	}
	if err := s.compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for path := range s.object("paths") {
		s.paths[path] = regexp.MustCompile("^" + pathParam.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
	}
	return s
}

// object returns the object at a path of names, nil when there is none.
func (s *spec) object(names ...string) map[string]any {
	at := s.doc
	for _, name := range names {
		at, _ = at[name].(map[string]any)
	}
	return at
}

// path returns the documented path that a request is for.
func (s *spec) path(escaped string) string {
	best := ""
	for path, re := range s.paths {
		// The more literal path wins, as it does in the router.
		if re.MatchString(escaped) && (best == "" || strings.Count(path, "{") < strings.Count(best, "{")) {
			best = path
		}
	}
	return best
}

// schema compiles the schema at a path of names.
func (s *spec) schema(names ...string) (*jsonschema.Schema, error) {
	pointer := ""
	for _, name := range names {
		pointer += "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.compiled[pointer]; known != nil {
		return known, nil
	}
	schema, err := s.compiler.Compile("openapi.json#" + pointer)
	if err == nil {
		s.compiled[pointer] = schema
	}
	return schema, err
}

// check says why the document does not allow the answer.
func (s *spec) check(r *http.Request, got answered) error {
	path, method := s.path(r.URL.EscapedPath()), strings.ToLower(r.Method)
	if s.object("paths", path, method) == nil {
		if got.StatusCode == http.StatusNotFound || got.StatusCode == http.StatusMethodNotAllowed || method == "head" {
			return nil
		}
		return errors.New("there is no such operation")
	}
	status := strconv.Itoa(got.StatusCode)
	at := []string{"paths", path, method, "responses", status}
	response := s.object(at...)
	if response == nil {
		return errors.New("the status is not listed")
	}
	headers, _ := response["headers"].(map[string]any)
	for _, name := range []string{"Location", "Retry-After", "WWW-Authenticate", "Preference-Applied", "X-Request-Id"} {
		if got.Header.Get(name) != "" && headers[name] == nil {
			return fmt.Errorf("the header %s is not listed", name)
		}
	}
	content, _ := response["content"].(map[string]any)
	if len(content) == 0 {
		if got.body != "" {
			return errors.New("there is a body")
		}
		return nil
	}
	media, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	if content[media] == nil {
		return fmt.Errorf("the media type %q is not listed", media)
	}
	if !strings.HasSuffix(media, "json") {
		return nil
	}
	schema, err := s.schema(append(at, "content", media, "schema")...)
	if err != nil {
		return err
	}
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(got.body))
	if err != nil {
		return err
	}
	if err := schema.Validate(body); err != nil {
		return err
	}
	return s.checkCode(response, got)
}

// checkCode says when a problem's code is not among those of the response.
func (s *spec) checkCode(response map[string]any, got answered) error {
	var p struct{ Code string }
	if got.Header.Get("Content-Type") != "application/problem+json" {
		return nil
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		return err
	}
	listed, _ := response["description"].(string)
	if !slices.Contains(strings.Split(listed, ", "), p.Code) {
		return fmt.Errorf("the code %s is not listed, only %s", p.Code, listed)
	}
	return nil
}
