package manifest

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

func TestWithOverrides(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	before := m.Run
	same, err := m.WithOverrides(Overrides{})
	if err != nil || !reflect.DeepEqual(same, m) {
		t.Fatalf("nothing overridden: %+v %v", same, err)
	}
	o := Overrides{
		LimitsOverride{new(64), new(2.0), new(1), new(time.Second), new(2 * time.Second)},
		ReconcileOverride{new(time.Duration(0)), new(3 * time.Second), new(false)},
	}
	got, err := m.WithOverrides(o)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Limits{64, 2.0, 1, time.Second, 2 * time.Second}); got.Run.Limits != want {
		t.Errorf("limits %+v, want %+v", got.Run.Limits, want)
	}
	if want := (Reconcile{0, 3 * time.Second, false}); got.Run.Reconcile != want {
		t.Errorf("reconcile %+v, want %+v", got.Run.Reconcile, want)
	}
	if !reflect.DeepEqual(m.Run, before) {
		t.Errorf("the receiver changed: %+v", m.Run)
	}
	part, err := m.WithOverrides(Overrides{Limits: LimitsOverride{CallTimeout: new(time.Second)}})
	if want := (Limits{128, 0.5, 8, 5 * time.Second, time.Second}); err != nil || part.Run.Limits != want {
		t.Errorf("limits %+v, want %+v (%v)", part.Run.Limits, want, err)
	}
}

func TestOverridesOutOfRange(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	_, err := m.WithOverrides(Overrides{
		LimitsOverride{new(1), new(math.NaN()), new(0), new(time.Hour), new(time.Duration(0))},
		ReconcileOverride{new(-time.Second), new(25 * time.Hour), nil},
	})
	var faults strictjson.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("WithOverrides = %v, want Faults", err)
	}
	want := []string{"/limits/memoryMiB", "/limits/cpus", "/limits/concurrency", "/limits/startTimeout", "/limits/callTimeout", "/reconcile/applyWithin", "/reconcile/searchLag"}
	var got []string
	for _, f := range faults {
		got = append(got, f.Pointer)
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults at %q, want %q", got, want)
	}
}

func TestRunQuestions(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	if path, ok := m.Executable("darwin", "arm64"); path != "bin/acme-mac" || !ok {
		t.Errorf("Executable = %q %v", path, ok)
	}
	if path, ok := m.Executable("linux", "arm64"); path != "" || ok {
		t.Errorf("Executable of another platform = %q %v", path, ok)
	}
	if got := m.Platforms(); !slices.Equal(got, []string{"darwin/arm64", "linux/amd64"}) {
		t.Errorf("Platforms = %v", got)
	}
}

// TestNotEnforced: what is asked for in vain is said so, whoever asks for it.
func TestNotEnforced(t *testing.T) {
	t.Parallel()
	always := []string{"limits.memoryMiB", "limits.cpus", "run.egress"}
	declared := append(slices.Clone(always), "reconcile.idempotentCreate")
	yes, no := true, false
	for name, c := range map[string]struct {
		text     string
		override *bool
		want     []string
	}{
		"manifest silent":            {minimal, nil, always},
		"manifest declares it":       {full(t), nil, declared},
		"override declares it":       {minimal, &yes, declared},
		"override takes it back":     {full(t), &no, always},
		"override and manifest both": {full(t), &yes, declared},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o Overrides
			o.Reconcile.IdempotentCreate = c.override
			m, err := mustParse(t, c.text).WithOverrides(o)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.NotEnforced(); !slices.Equal(got, c.want) {
				t.Errorf("NotEnforced = %v, want %v", got, c.want)
			}
		})
	}
}
