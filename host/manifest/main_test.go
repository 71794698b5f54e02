package manifest

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full is a valid manifest that uses every member.
func full(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// change returns the document with edits made: "/pointer=json" sets a member or
// an item, "/pointer" removes one. The last token may be "-" to append.
func change(t testing.TB, doc string, edits ...string) string {
	t.Helper()
	var root any
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		pointer, value, set := strings.Cut(edit, "=")
		root = changeAt(t, root, strings.Split(pointer, "/")[1:], value, set)
	}
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func changeAt(t testing.TB, at any, tokens []string, value string, set bool) any {
	t.Helper()
	if len(tokens) == 0 {
		return json.RawMessage(value)
	}
	switch at := at.(type) {
	case map[string]any:
		if len(tokens) == 1 && !set {
			delete(at, tokens[0])
			return at
		}
		at[tokens[0]] = changeAt(t, at[tokens[0]], tokens[1:], value, set)
		return at
	case []any:
		if tokens[0] == "-" {
			return append(at, json.RawMessage(value))
		}
		i, err := strconv.Atoi(tokens[0])
		if err != nil || i >= len(at) {
			t.Fatalf("no item %s", tokens[0])
		}
		if len(tokens) == 1 && !set {
			return append(at[:i], at[i+1:]...)
		}
		at[i] = changeAt(t, at[i], tokens[1:], value, set)
		return at
	default:
		t.Fatalf("nothing at %s", tokens[0])
		return nil
	}
}

func mustParse(t testing.TB, doc string) *Manifest {
	t.Helper()
	m, err := Parse([]byte(doc))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return m
}

func node(t testing.TB, doc string) *strictjson.Node {
	t.Helper()
	n, err := strictjson.Parse([]byte(doc))
	if err != nil {
		t.Fatalf("Parse(%s): %v", doc, err)
	}
	return n
}
