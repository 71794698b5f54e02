package sdktest

import (
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// Option changes what Run does.
type Option func(*suite)

// WithRequest gives the requests that the suite starts from, for adapters that
// need certain custom fields, settings, contact ids or credentials. newRequest is
// called anew for each request and returns one that the adapter's CRM accepts; the
// suite puts its own messages, zone and keys into it, in some cases another contact
// or secret. Without it that is Request.
func WithRequest(newRequest func() *sdk.AddMessageLogRequest) Option {
	return func(s *suite) { s.request = newRequest }
}

// WithWrites lets the suite count what reached the adapter's CRM: writes returns a
// number that only grows, over all adapters that newAdapter made. Count the records
// that the CRM made, or, better, every request that may change it, refused ones too.
// A call that succeeds may add one, see WithWritesPerCall; a search, and a call after
// its send window, none. A number that never grows fails the test.
func WithWrites(writes func() int) Option { return func(s *suite) { s.writes = writes } }

// WithWritesPerCall says how many writes one call of AddMessageLog may make, for
// adapters whose record takes several requests, when WithWrites counts those.
// Default 1. Leave it so when WithWrites counts records: of these a call makes one.
func WithWritesPerCall(most int) Option { return func(s *suite) { s.perCall = most } }

// WithRecords lets the suite read what the CRM stored: records returns one text for
// each record, over all adapters that newAdapter made, in whatever form, such as
// JSON; what belongs to one record is one text. The suite then wants one record of
// a call, which holds the texts of all its messages, and the idempotency key of an
// adapter that can search. The case "record" does that, and nothing without it.
func WithRecords(records func() []string) Option { return func(s *suite) { s.records = records } }

// WithSearchLag says how far the CRM's search may lag behind, as run.reconcile.searchLag
// of the manifest does; default 30 s, as there. A "not found" may hold for a moment
// so long before the search began, and the suite waits that long, 10 s at most,
// for a new record to be found.
func WithSearchLag(lag time.Duration) Option { return func(s *suite) { s.lag = lag } }

// Except leaves cases out, by their names; the package comment lists them. The
// reason is logged.
func Except(reason string, names ...string) Option {
	return func(s *suite) {
		for _, name := range names {
			s.except[name] = reason
		}
	}
}
