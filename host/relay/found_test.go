package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk"
)

// halfway is a process whose create is lost after its first step, and whose search
// finds the record and sees that the second step is missing.
type halfway struct{ *process }

func (h halfway) AddMessageLog(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return nil, errBroken
}

func (h halfway) FindMessageLog(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	found := sdk.Found("77")
	found.ReturnMessage = &sdk.ReturnMessage{Message: "not filed", MessageType: sdk.Warning, TTL: 3 * time.Second}
	return found, nil
}

// TestSearchTellsTheUserWhatIsMissing: what an adapter says beside a record that it
// found reaches the caller who waits, and everybody who asks later.
func TestSearchTellsTheUserWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.mu.Lock()
		w.hand = halfway{&process{w: w, done: make(chan struct{}), canFind: true}}
		w.mu.Unlock()
		want := ledger.ReturnMessage{Message: "not filed", MessageType: "warning", TTLMillis: 3000}
		for _, when := range []string{"the caller who waits", "a later one"} {
			res, err := w.send(time.Minute, "A")
			if id := w.logged(res, err); id != "77" || res.Entry.Return == nil || *res.Entry.Return != want {
				t.Errorf("%s is told %q and %+v", when, id, res.Entry.Return)
			}
		}
	})
}
