package manifest

import (
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// Overrides are an operator's changes to a manifest. A nil member leaves the
// manifest's value. The zero value changes nothing.
type Overrides struct {
	Limits    LimitsOverride
	Reconcile ReconcileOverride
}

// LimitsOverride changes Limits.
type LimitsOverride struct {
	MemoryMiB    *int
	CPUs         *float64
	Concurrency  *int
	StartTimeout *time.Duration
	CallTimeout  *time.Duration
}

// ReconcileOverride changes Reconcile.
type ReconcileOverride struct {
	ApplyWithin      *time.Duration
	SearchLag        *time.Duration
	IdempotentCreate *bool
}

// Validate checks that every value lies in the range that a manifest allows. The
// error is strictjson.Faults with pointers such as "/limits/callTimeout".
func (o Overrides) Validate() error {
	var r reader
	within(&r, "/limits/memoryMiB", o.Limits.MemoryMiB, minMemoryMiB, maxMemoryMiB)
	within(&r, "/limits/cpus", o.Limits.CPUs, minCPUs, maxCPUs)
	within(&r, "/limits/concurrency", o.Limits.Concurrency, minConcurrency, maxConcurrency)
	within(&r, "/limits/startTimeout", o.Limits.StartTimeout, startTimeoutRange.least, startTimeoutRange.most)
	within(&r, "/limits/callTimeout", o.Limits.CallTimeout, callTimeoutRange.least, callTimeoutRange.most)
	within(&r, "/reconcile/applyWithin", o.Reconcile.ApplyWithin, reconcileRange.least, reconcileRange.most)
	within(&r, "/reconcile/searchLag", o.Reconcile.SearchLag, reconcileRange.least, reconcileRange.most)
	return r.Err()
}

func within[T int | float64 | time.Duration](r *reader, pointer string, v *T, least, most T) {
	// Turned round so that a NaN is out of range.
	if v != nil && !(*v >= least && *v <= most) {
		r.AddAt(pointer, strictjson.CodeInvalid, "must be from %v to %v", least, most)
	}
}

// WithOverrides returns the manifest as the operator wants it. Raw stays as it
// stands in the package. The receiver is not changed. The error is Validate's.
func (m *Manifest) WithOverrides(o Overrides) (*Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := *m
	override(&c.Run.Limits.MemoryMiB, o.Limits.MemoryMiB)
	override(&c.Run.Limits.CPUs, o.Limits.CPUs)
	override(&c.Run.Limits.Concurrency, o.Limits.Concurrency)
	override(&c.Run.Limits.StartTimeout, o.Limits.StartTimeout)
	override(&c.Run.Limits.CallTimeout, o.Limits.CallTimeout)
	override(&c.Run.Reconcile.ApplyWithin, o.Reconcile.ApplyWithin)
	override(&c.Run.Reconcile.SearchLag, o.Reconcile.SearchLag)
	override(&c.Run.Reconcile.IdempotentCreate, o.Reconcile.IdempotentCreate)
	return &c, nil
}

func override[T any](value, by *T) {
	if by != nil {
		*value = *by
	}
}
