package sdk

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzObject holds the reader of objects against encoding/json.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : 1 , "b":[ ] } `, `{"a":"x\"y\\","b":{"c":[1,{"d":"}]"}]},"a":null}`, `{"\u0061":"\ud83d\ude00","é":"ü"}`,
		"{\"a\":\"\xff\"}", `{"a":-1.5e3,"b":true,"c":false}`, `[1]`, `null`, `"text"`, `{"a":1`, ``, `{"a":[[],[{}],""]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want map[string]json.RawMessage
		fails := json.Unmarshal(raw, &want) != nil || want == nil
		got, err := openObject(raw)
		if fails != (err != nil) {
			t.Fatalf("openObject: %v, encoding/json refuses: %v", err, fails)
		}
		for _, m := range got {
			if !bytes.Equal(got.get(m.name), want[m.name]) {
				t.Errorf("member %q is %q, want %q", m.name, got.get(m.name), want[m.name])
			}
			sameText(t, m.value)
			sameItems(t, m.value)
		}
		for name := range want {
			if got.get(name) == nil {
				t.Errorf("member %q is missing", name)
			}
		}
		sameText(t, raw)
	})
}

func sameText(t *testing.T, raw []byte) {
	t.Helper()
	if len(raw) == 0 || raw[0] != '"' {
		return
	}
	var want string
	wantErr := json.Unmarshal(raw, &want)
	got, err := textOf(raw)
	if got != want || (err != nil) != (wantErr != nil) {
		t.Errorf("textOf(%q) = %q, %v, want %q, %v", raw, got, err, want, wantErr)
	}
}

func sameItems(t *testing.T, raw []byte) {
	t.Helper()
	if raw[0] != '[' {
		return
	}
	var want []json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatalf("items of %q: %v", raw, err)
	}
	got := itemsOf(raw)
	if len(got) != len(want) {
		t.Fatalf("itemsOf(%q) has %d items, want %d", raw, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("item %d of %q is %q, want %q", i, raw, got[i], want[i])
		}
	}
}
