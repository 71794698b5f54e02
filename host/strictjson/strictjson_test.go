package strictjson

import (
	"errors"
	"strings"
	"testing"
)

func TestParseKeepsBytes(t *testing.T) {
	t.Parallel()
	const doc = ` {"id" : 5578984350117917661, "n":1e2 ,"s":"a\"b\\", "o":{ "x":[ 1 , "\u0041" ] }, "t":true,"z":null} `
	root, err := Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"id": "5578984350117917661", "n": "1e2", "s": `"a\"b\\"`,
		"o": `{ "x":[ 1 , "\u0041" ] }`, "t": "true", "z": "null",
	} {
		if got := string(root.Get(name).Raw()); got != want {
			t.Errorf("%s: raw %s, want %s", name, got, want)
		}
	}
	item := root.Get("o").Get("x").Items()[1]
	if item.Text() != "A" || item.Pointer() != "/o/x/1" || string(item.Raw()) != `"\u0041"` {
		t.Errorf("item: %q at %q raw %s", item.Text(), item.Pointer(), item.Raw())
	}
	if string(root.Raw()) != strings.TrimSpace(doc) {
		t.Errorf("root raw = %s", root.Raw())
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"empty": "", "cut": `{"a":`, "duplicate": `{"a":1,"a":2}`, "escaped duplicate": `{"a":1,"\u0061":2}`,
		"deep duplicate": `{"o":{"a":1,"a":2}}`, "trailing": `{} {}`, "comma": `{"a":1,}`, "UTF-8": "{\"a\":\"\xff\"}",
		"deep": strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2), "single quotes": `{'a':1}`,
		"leading zero": `{"a":01}`, "surrogate": `{"a":"\ud800"}`, "NaN": `{"a":NaN}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(doc))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("Parse(%q) = %v, want a SyntaxError", doc, err)
			}
		})
	}
}

func TestSyntaxErrorShowsNoValue(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"authHeader":"hunter2","x":hunter2}`, `{"a":"hunter2"`, `{"a":"hunter2\x"}`, `["hunter2" "hunter2"]`, `{"a":1} hunter2`,
	} {
		_, err := Parse([]byte(doc))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q) = %v", doc, err)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	root, err := Parse([]byte(`{"mesage":{},"user":7,"a/b~c":1}`))
	if err != nil {
		t.Fatal(err)
	}
	var faults Faults
	faults.Closed(root, "message", "user")
	faults.Want(root.Get("user"), Object)
	faults.Require(root, "message")
	got := faults.Error()
	want := `/mesage: unknown member "mesage"; did you mean "message"?
/a~1b~0c: unknown member "a/b~c"
/user: must be an object, not a number
/message: is required`
	if got != want {
		t.Errorf("faults:\n%s\nwant:\n%s", got, want)
	}
}

func TestFindNUL(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"a":["x","\u0000"]}`: "/a/1", `{"a":"\\u0000"}`: "-", `{"a":{"b\u0000":1}}`: "/a/b\uFFFD", `{"a":"\u0001"}`: "-",
	} {
		root, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		got := "-"
		if hit := root.FindNUL(); hit != nil {
			got = hit.Pointer()
		}
		if got != want {
			t.Errorf("FindNUL(%s) at %q, want %q", doc, got, want)
		}
	}
}

func TestNamesAreCut(t *testing.T) {
	t.Parallel()
	if got := ShowName(strings.Repeat("é", 100) + "\x00"); got != strings.Repeat("é", 64)+"..." {
		t.Errorf("ShowName = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",{"b":null}]}`))
	f.Add([]byte(`"\\\"\u0000"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(root.Raw())
		if err != nil {
			t.Fatalf("raw of an accepted document is refused: %v", err)
		}
		if string(again.Raw()) != string(root.Raw()) {
			t.Fatalf("raw changed: %q, then %q", root.Raw(), again.Raw())
		}
		root.FindNUL()
	})
}
