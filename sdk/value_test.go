package sdk_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
)

func TestValue(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		text   string
		number int64 // 0: none
		yes    bool
	}{
		`88001`: {"88001", 88001, false}, `"88001"`: {"88001", 88001, false}, `" a\"b"`: {` a"b`, 0, false},
		`true`: {"true", 0, true}, `false`: {"false", 0, false}, `"true"`: {"true", 0, false},
		`1.50`: {"1.50", 0, false}, `{"a" : 1}`: {`{"a" : 1}`, 0, false}, `null`: {"", 0, false}, ``: {"", 0, false},
		` 7 `: {"7", 7, false}, `9223372036854775808`: {"9223372036854775808", 0, false},
	} {
		v := sdk.RawValue([]byte(raw))
		n, err := v.Int64()
		if v.String() != want.text || v.Bool() != want.yes || n != want.number || (err == nil) != (want.number != 0) {
			t.Errorf("%s: text %q, number %d (%v), true %v", raw, v, n, err, v.Bool())
		}
		if v.IsZero() != (want.text == "") {
			t.Errorf("%s: absent %v", raw, v.IsZero())
		}
	}
	if v := sdk.TextValue("<é>"); v.String() != "<é>" {
		t.Errorf("%q", v)
	}
	var none sdk.Values
	if !none["deal"].IsZero() {
		t.Error("a value stands in no values")
	}
}

func TestValueRat(t *testing.T) {
	t.Parallel()
	r, err := sdk.RawValue([]byte("12345678901234567890.05")).Rat()
	if want, _ := new(big.Rat).SetString("12345678901234567890.05"); err != nil || r.Cmp(want) != 0 {
		t.Errorf("%v, %v", r, err)
	}
	for _, raw := range []string{``, `"x"`, `true`, `[]`, `"1/3"`, `"0x10"`, `"1_000"`, `"1e"`} {
		if r, err := sdk.RawValue([]byte(raw)).Rat(); err == nil {
			t.Errorf("%s is the number %v", raw, r)
		}
	}
}

// TestValueRatIsBounded wants a value with a huge exponent refused at once: as an
// exact number it would fill the memory.
func TestValueRatIsBounded(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`1e999999999`, `1e-999999999`, `"1e100000000"`, `1e513`, `-1E+513`, strings.Repeat("9", 1<<20)} {
		if _, err := sdk.RawValue([]byte(raw)).Rat(); err == nil {
			t.Errorf("%.20s is taken as an exact number", raw)
		}
	}
}

func TestValuesJSON(t *testing.T) {
	t.Parallel()
	var values sdk.Values
	const in = `{"a":12345678901234567890,"b":"x","c":null,"d":[1.0]}`
	if err := json.Unmarshal([]byte(in), &values); err != nil {
		t.Fatal(err)
	}
	if values["a"].String() != "12345678901234567890" || !values["c"].IsZero() {
		t.Errorf("%v", values)
	}
	if out, err := json.Marshal(values); err != nil || string(out) != in {
		t.Errorf("%s, %v", out, err)
	}
}
