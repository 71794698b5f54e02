// Package faulty is an adapter that misbehaves as told, for tests and for
// operators who want to see that a sick adapter harms nobody else. It has no CRM:
// its records live in memory and die with the process, which is why it has no
// FindMessageLog.
//
// The custom field "script" says what a call does:
//
//	ok                     makes a record and answers its log ID; so does no script
//	slow:<duration>        makes a record and answers after a while, at most an hour
//	hang                   never returns, whatever the call's context does
//	panic                  panics; serve turns that into a fault, the process lives on
//	exit:<code>            ends the process with that code, 0 to 255
//	kill                   ends the process by SIGKILL
//	error:<code>           fails with a code that adapters may raise, in its usual class
//	error:<code>:<class>   fails with that code in the class unknown, retryable or permanent
//	leak:<MiB>             allocates that much, never to let it go, then does as ok; at most 65,536
//	spin                   burns a processor and never returns
//	stdout:<MiB>           writes one line of that length to standard output, then does as ok; at most 1,024
//	stderr-bomb            writes 16 MiB of hostile log lines to standard error, then does as ok
//	fork-and-die           leaves a child that holds standard output and error, and ends by SIGKILL;
//	                       the child ends by itself after a minute
//	crash-after-write      makes a record, then crashes by a panic that nothing recovers
//	empty-id, huge-id      makes a record, then answers a log ID that no host can use
//
// hang and spin are meant to outlive their call: only the end of the process ends
// them. What a script makes is bounded, except leak and spin, whose purpose is to
// meet the limits of the process.
//
// The variable FAULTY_START misbehaves earlier; see Start.
package faulty

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// maxRecords is how many records are kept; the oldest make room.
const maxRecords = 10_000

// Record is what the adapter wrote for one call.
type Record struct {
	LogID, IdempotencyKey, ContactID string
	MessageIDs                       []string
}

// Adapter misbehaves as told.
type Adapter struct {
	process string // stands in every log ID, so that no two processes share one
	start   string // FAULTY_START

	mu      sync.Mutex // guards what follows
	count   uint64
	records []Record
	kept    [][]byte // what leak keeps
}

// New returns the adapter as its environment configures it.
func New() *Adapter {
	return &Adapter{
		process: fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:10])),
		start:   os.Getenv(envStart),
	}
}

// AddMessageLog plays the request's script. An unknown script is refused.
func (a *Adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	text := cmp.Or(req.Field("script").String(), "ok")
	play, err := parse(text)
	if err != nil {
		return nil, err
	}
	slog.DebugContext(ctx, "script played", "script", text)
	return play(ctx, a, req)
}

// CheckHealth answers that the adapter serves, unless FAULTY_START says otherwise.
func (a *Adapter) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	if reason := sickness(a.start); reason != "" {
		return sdk.NotServing(reason), nil
	}
	return sdk.Serving(), nil
}

// Records returns what the adapter wrote, oldest first.
func (a *Adapter) Records() []Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Record(nil), a.records...)
}

// write makes a record and returns its log ID, which no other call of any
// process gets. It keeps the send window, as crmhttp does for other adapters.
func (a *Adapter) write(req *sdk.AddMessageLogRequest) (logID string, err error) {
	if !time.Now().Before(req.NotAfter) {
		return "", fault.Unavailable(0, "the send window has closed; nothing was written")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	r := Record{
		LogID:          fmt.Sprintf("faulty-%s-%d", a.process, a.count),
		IdempotencyKey: req.IdempotencyKey, ContactID: req.ContactInfo.ID.String(),
	}
	for _, m := range req.Messages {
		r.MessageIDs = append(r.MessageIDs, m.ID.String())
	}
	if len(a.records) >= maxRecords {
		a.records = append(a.records[:0], a.records[1:]...)
	}
	a.records = append(a.records, r)
	return r.LogID, nil
}

// keep holds memory until the process ends.
func (a *Adapter) keep(block []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = append(a.kept, block)
}
