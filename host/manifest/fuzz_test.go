package manifest

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// FuzzParse holds Parse to its promises on any input: it does not panic, its
// errors are of the two kinds, and a manifest that it accepts is valid by every
// question that the host will ask of it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full(f)))
	f.Add([]byte(minimal))
	for _, name := range []string{"examplecrm", "faulty"} {
		raw, err := os.ReadFile("../../manifests/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, c := range badManifests() {
		f.Add([]byte(change(f, full(f), c.edits...)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw)
		if err != nil {
			var faults strictjson.Faults
			var syntax *strictjson.SyntaxError
			if !errors.As(err, &faults) && !errors.As(err, &syntax) || err.Error() == "" {
				t.Fatalf("Parse = %#v", err)
			}
			return
		}
		if !bytes.Equal(m.Raw, raw) || !ValidName(m.Name) || !ValidVersion(m.Version) || m.DisplayName == "" || m.Run.Runtime != "native" ||
			len(m.Run.Files) == 0 || m.Auth.Type == "" || m.Run.Isolation == "" {
			t.Fatalf("an accepted manifest is not whole: %+v", m)
		}
		limits := Overrides{Limits: LimitsOverride{
			&m.Run.Limits.MemoryMiB, &m.Run.Limits.CPUs, &m.Run.Limits.Concurrency, &m.Run.Limits.StartTimeout, &m.Run.Limits.CallTimeout,
		}}
		if err := limits.Validate(); err != nil {
			t.Fatalf("accepted limits are out of range: %v", err)
		}
		for _, name := range m.Run.Env {
			if !ValidEnv(name) {
				t.Fatal("an accepted variable is refused")
			}
		}
		m.LogPage("a.example", "t", "c", "l")
		if _, faults := m.CheckSubmission(nil); faults != nil && len(m.AdditionalFields) == 0 {
			t.Fatalf("faults without fields: %v", faults)
		}
		m.MergeSettings(nil, nil)
	})
}

// FuzzCheckSubmission holds the validator to its promises on any submission: the
// values it accepts were submitted or are defaults, and no fault repeats a value.
func FuzzCheckSubmission(f *testing.F) {
	for _, raw := range append([]string{`{"note":"abc","stage":7}`, `{"note":"abc","due":"2024-02-29","hours":1e2,"deal":"x"}`, `[]`, `null`}, pool...) {
		f.Add([]byte(raw))
		f.Add([]byte(`{"note":"abc","deal":` + raw + `}`))
	}
	m := mustParse(f, full(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := strictjson.Parse(raw)
		if err != nil {
			return
		}
		values, faults := m.CheckSubmission(n)
		if (values == nil) == (faults == nil) {
			t.Fatalf("values %v beside faults %v", values, faults)
		}
		for name, v := range values {
			given := n.Get(name).Raw()
			c, ok := m.fieldCheck(name)
			if !ok || v.IsZero() {
				t.Fatalf("a value came for %q", name)
			}
			if !bytes.Equal(v.Raw(), given) && submitted(n.Get(name)) {
				t.Fatalf("%s changed from %s to %s", name, given, v.Raw())
			}
			if c.kind == Warning {
				t.Fatal("a warning took a value")
			}
		}
		m.CheckSettings(n, ScopeTenant)
		m.CheckSettings(n, ScopeUser)
	})
}
