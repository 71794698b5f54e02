package sqlite

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// BenchmarkCall is what one call that goes well costs: a claim, fsynced, and a log
// ID. The number behind the name is how many callers there are.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) { benchmarkCall(b, callers) })
	}
}

func benchmarkCall(b *testing.B, callers int) {
	db := openTemp(b)
	payload := make([]byte, 2048)
	next := atomic.Int64{}
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	parallel(callers, func() {
		for {
			n := next.Add(1)
			if n > int64(b.N) {
				return
			}
			if err := oneCall(b, db, n, payload); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "calls/s")
}

func oneCall(b *testing.B, db *DB, n int64, payload []byte) error {
	draft := ledger.Entry{
		ID: ulid.Make().String(), Version: "1.2.3", UserID: "42", CanFind: true,
		Messages: []string{fmt.Sprintf("message-%012d", n)},
		Scope: ledger.Scope{
			Tenant: "acme", Adapter: "examplecrm", Account: "acme.example.com",
			ContactType: "person", ContactID: fmt.Sprint(n % 1000),
		},
	}
	got, err := db.Claim(b.Context(), store.Claim{Draft: draft, Timing: ledger.Timing{Window: time.Minute}, Payload: payload})
	if err != nil {
		return err
	}
	_, err = db.Apply(b.Context(), got.Entry.ID, ledger.LogID{Epoch: got.Entry.Epoch, ID: draft.ID})
	return err
}

// BenchmarkOpen is what a start of the host waits for.
func BenchmarkOpen(b *testing.B) {
	cfg := tempConfig(b)
	for b.Loop() {
		db, err := Open(b.Context(), cfg)
		if err == nil {
			err = db.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
