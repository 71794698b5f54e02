package manifest

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// compileSchema reads manifests/manifest.schema.json. It loads nothing else, from
// the disk or the network.
func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile("../../manifests/manifest.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{})
	doc := decode(t, string(raw))
	id := doc.(map[string]any)["$id"].(string)
	if err := c.AddResource(id, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decode(t testing.TB, doc string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAgreesOnCorpus(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for name, c := range badManifests() {
		if err := schema.Validate(decode(t, change(t, full(t), c.edits...))); (err != nil) == c.blind {
			t.Errorf("%s: the schema says %v", name, err)
		}
	}
	for name, edits := range goodManifests() {
		if err := schema.Validate(decode(t, change(t, full(t), edits...))); err != nil {
			t.Errorf("%s: the schema says %v", name, err)
		}
	}
	if err := schema.Validate(decode(t, minimal)); err != nil {
		t.Errorf("minimal: the schema says %v", err)
	}
}

// blindDetails begin the details of faults that a JSON Schema cannot express:
// equal names in different places, sizes of durations and bytes, a value against
// another member.
var blindDetails = []string{
	"stands in the list a second time", "must be from ", "must be an RE2 ", "must be one of the options", "must match the pattern",
	"must be a date ", "must hold at most ", "must be a well-formed URL",
}

// TestSchemaAgreesOnMutations spoils the full manifest at random and holds the
// verdict of Parse against the schema's.
func TestSchemaAgreesOnMutations(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	base := full(t)
	pointers := slices.Sorted(func(yield func(string) bool) { eachPointer(decode(t, base), "", yield) })
	rapid.Check(t, func(rt *rapid.T) {
		doc := base
		for range rapid.IntRange(1, 3).Draw(rt, "edits") {
			doc = mutate(rt, t, doc, pointers)
		}
		_, err := Parse([]byte(doc))
		verdict := schema.Validate(decode(t, doc))
		var faults strictjson.Faults
		switch errors.As(err, &faults); {
		case err == nil && verdict != nil:
			rt.Fatalf("Parse accepts what the schema refuses: %v\n%s", verdict, doc)
		case err != nil && verdict == nil && slices.ContainsFunc(faults, visible):
			rt.Fatalf("the schema accepts what Parse refuses: %v\n%s", err, doc)
		}
	})
}

// visible reports whether a JSON Schema could have found the fault.
func visible(f strictjson.Fault) bool {
	return !slices.ContainsFunc(blindDetails, func(d string) bool { return strings.HasPrefix(f.Detail, d) })
}

// eachPointer yields the pointers of all values below the root.
func eachPointer(v any, at string, yield func(string) bool) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			pointer := at + "/" + name
			if strings.Contains(name, "/") {
				continue // change does not escape
			}
			if !yield(pointer) || !eachPointer(member, pointer, yield) {
				return false
			}
		}
	case []any:
		for i, item := range v {
			pointer := at + "/" + strconv.Itoa(i)
			if !yield(pointer) || !eachPointer(item, pointer, yield) {
				return false
			}
		}
	}
	return true
}

// mutations are what a mutation puts into a manifest.
var mutations = []string{
	`null`, `true`, `false`, `0`, `1`, `2`, `-1`, `1.5`, `300`, `99999`, `"x"`, `""`, `" "`, `"a b"`, `"10s"`, `"0s"`, `"99h"`, `"7"`, `"user"`,
	`"selection"`, `"inputField"`, `"checkbox"`, `"date"`, `"number"`, `"warning"`, `"option"`, `"boolean"`, `"section"`, `"group"`,
	`"2026-09-01"`, `"*.acme.example"`, `"acme.example"`, `"10.0.0.1"`, `"1.2.3"`, `"../x"`, `"PATCHBAY_X"`, `"X_Y"`,
	`"https://{hostname}/x"`, `"https://{logId}/x"`, `[]`, `{}`, `["x"]`, `[{"const":1,"title":"One"}]`, `[1]`, `["X_Y","X_Y"]`,
}

// members are what a mutation adds to an object.
var members = []string{
	"required", "secret", "scope", "options", "pattern", "defaultValue", "allowCustomValue", "contactDependent", "description", "items",
	"value", "placeholder", "title", "const", "id", "type", "name", "unheard",
}

// mutate makes one edit. An edit that an earlier one has made impossible is left
// out.
func mutate(rt *rapid.T, t *testing.T, doc string, pointers []string) string {
	pointer := rapid.SampledFrom(pointers).Draw(rt, "pointer")
	value := rapid.SampledFrom(mutations).Draw(rt, "value")
	edit := pointer + "=" + value
	switch rapid.IntRange(0, 3).Draw(rt, "kind") {
	case 0:
		edit = pointer
	case 1:
		edit = pointer + "/" + rapid.SampledFrom(members).Draw(rt, "member") + "=" + value
	}
	if !possible(doc, edit) {
		return doc
	}
	return change(t, doc, edit)
}

// possible reports whether change can make the edit.
func possible(doc, edit string) bool {
	pointer, _, _ := strings.Cut(edit, "=")
	var at any
	if json.Unmarshal([]byte(doc), &at) != nil {
		return false
	}
	tokens := strings.Split(pointer, "/")[1:]
	for i, token := range tokens {
		switch v := at.(type) {
		case map[string]any:
			next, ok := v[token]
			if !ok && i < len(tokens)-1 {
				return false
			}
			at = next
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n >= len(v) {
				return false
			}
			at = v[n]
		default:
			return false
		}
	}
	return true
}
