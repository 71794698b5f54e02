package manifest

import (
	"encoding/json"
	"os"
	"testing"
)

// TestSchemaDescribesEveryMember: editors show these texts to authors.
func TestSchemaDescribesEveryMember(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../manifests/manifest.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	members := 0
	var walk func(path string, node any)
	walk = func(path string, node any) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		properties, _ := object["properties"].(map[string]any)
		for name, member := range properties {
			members++
			if !described(member, schema) {
				t.Errorf("%s/properties/%s has no description", path, name)
			}
		}
		for name, child := range object {
			walk(path+"/"+name, child)
		}
	}
	walk("", schema)
	if members < 40 {
		t.Errorf("only %d members found", members)
	}
}

// described reports whether a member has a description, itself or where it refers to.
func described(member, schema any) bool {
	m, ok := member.(map[string]any)
	if !ok {
		return false
	}
	if text, _ := m["description"].(string); text != "" {
		return true
	}
	ref, _ := m["$ref"].(string)
	const defs = "#/$defs/"
	if len(ref) <= len(defs) {
		return false
	}
	all, _ := schema.(map[string]any)["$defs"].(map[string]any)
	return described(all[ref[len(defs):]], schema)
}
