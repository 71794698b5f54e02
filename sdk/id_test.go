package sdk_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("7", sdk.MaxIDBytes)
	for raw, want := range map[string]struct {
		text   string
		number bool
	}{
		`7`: {"7", true}, `"7"`: {"7", false}, `0`: {"0", true}, `-12`: {"-12", true},
		`5578984350117917661`: {"5578984350117917661", true},
		long:                  {long, true}, `"` + long + `"`: {long, false},
		`"a b"`: {"a b", false}, `"\u00e9"`: {"é", false}, `"007"`: {"007", false}, `" 7"`: {" 7", false},
	} {
		id, err := sdk.ParseID([]byte(raw))
		if err != nil || id.String() != want.text || id.IsNumber() != want.number || id.IsZero() {
			t.Errorf("%s: %q, number %v, %v", raw, id, id.IsNumber(), err)
		}
	}
	for _, raw := range []string{
		``, `null`, `true`, `{}`, `[1]`, `""`, `"`, `1.0`, `1e3`, `01`, `-0`, `-`, `+1`, `0x1`, ` 1`, `1 `, `1_000`,
		long + "7", `"` + long + `7"`, `"\u0000"`, `"a\u0000b"`, "\"a\x01\"",
	} {
		if id, err := sdk.ParseID([]byte(raw)); err == nil {
			t.Errorf("%s is taken as the id %q", raw, id)
		}
	}
}

func TestIDJSON(t *testing.T) {
	t.Parallel()
	var got struct{ A, B, C, D sdk.ID }
	const in = `{"A":9007199254740993,"B":"9007199254740993","C":null,"D":"é\"<"}`
	if err := json.Unmarshal([]byte(in), &got); err != nil {
		t.Fatal(err)
	}
	if got.A.String() != got.B.String() || got.A == got.B || !got.C.IsZero() {
		t.Errorf("%+v", got)
	}
	out, err := json.Marshal(got)
	if want := `{"A":9007199254740993,"B":"9007199254740993","C":null,"D":"é\"\u003c"}`; err != nil || string(out) != want {
		t.Errorf("%s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"A":1.5}`), &got); err == nil {
		t.Error("a fraction is taken as an id")
	}
}

func TestIDNumbers(t *testing.T) {
	t.Parallel()
	for id, want := range map[sdk.ID]int64{sdk.IntID(-5): -5, sdk.StringID("42"): 42, sdk.IntID(1<<63 - 1): 1<<63 - 1} {
		if n, err := id.Int64(); err != nil || n != want {
			t.Errorf("%s: %d, %v", id, n, err)
		}
	}
	for _, id := range []sdk.ID{{}, sdk.StringID("abc"), sdk.StringID("9223372036854775808"), sdk.StringID("1.0")} {
		n, err := id.Int64()
		if err == nil {
			t.Errorf("%q is the number %d", id, n)
		} else if !id.IsZero() && strings.Contains(err.Error(), id.String()) {
			t.Errorf("the error shows the id: %v", err)
		}
	}
}

// FuzzParseID wants of every id that is taken that it is written as it came and
// read again as the same.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{`7`, `"7"`, `-0`, `"\u00e9"`, `5578984350117917661`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := sdk.ParseID(raw)
		if err != nil {
			return
		}
		out, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := sdk.ParseID(out); err != nil || again != id || len(id.String()) > sdk.MaxIDBytes {
			t.Errorf("%q became %q, %v", raw, out, err)
		}
	})
}
