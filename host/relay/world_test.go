package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The durations of the world: W = 20 s, D = 30 s, L = 10 s, and the second of
// slack that the store adds to W.
const (
	window  = 20 * time.Second
	apply   = 30 * time.Second
	lag     = 10 * time.Second
	slack   = time.Second
	settles = window + slack + apply + lag
)

const testManifest = `{
  "schemaVersion": 1, "name": "acme", "displayName": "Acme", "version": "1.0.0",
  "author": {"name": "Acme", "websiteUrl": "https://acme.example"},
  "protocolVersions": [1],
  "run": {"runtime": "native", "files": {"linux/amd64": "acme"}, "egress": ["*.acme.example"],
    "limits": {"callTimeout": "20s"}, "reconcile": {"applyWithin": "30s", "searchLag": "10s"}},
  "auth": {"type": "oauth"},
  "logPageUrl": "https://{hostname}/log/{logId}",
  "page": {"messageLog": {"additionalFields": [
    {"const": "deal", "title": "Deal", "type": "selection", "contactDependent": true},
    {"const": "note", "title": "Note", "type": "inputField", "defaultValue": "none"}]}},
  "settings": [{"id": "prefix", "type": "inputField", "name": "Prefix", "scope": "user"}]
}`

// record is one entry in the CRM. The CRM never deduplicates.
type record struct {
	id, key  string
	messages []string
	at       time.Time
}

// world is a host with its store, one adapter, and a CRM, in a synctest bubble.
type world struct {
	t     *testing.T
	relay *Relay
	store Store

	mu      sync.Mutex // guards what follows
	route   *Route
	records []record
	calls   []*sdk.AddMessageLogRequest
	finds   []*sdk.FindMessageLogRequest
	targets []Target // of which a process was asked for
	live    *process
	// add is what the adapter does; nil: it writes and answers.
	add func(ctx context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)
	// slow is how long a search takes: it shows the CRM as it was at its beginning.
	// age is how old the CRM's index says it is.
	slow, age time.Duration
	// hand, when set, is the process that is handed out.
	hand Process
	// down, when set, is why no process can be had.
	down    error
	canFind bool
}

// newWorld starts a relay whose parts run until the test ends.
func newWorld(t *testing.T, wrap func(Store) Store) *world {
	t.Helper()
	m, err := manifest.Parse([]byte(testManifest))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, canFind: true, route: &Route{
		Tenant: "t1", Adapter: "acme", Version: "1.0.0", Enabled: true, Manifest: m,
	}}
	w.store = memory.New(time.Now)
	if wrap != nil {
		w.store = wrap(w.store)
	}
	w.start()
	return w
}

// start begins a life of the host, which lasts until the test ends.
func (w *world) start() {
	w.t.Helper()
	w.t.Cleanup(w.begin(Config{}))
}

// begin begins a life of the host and returns what ends it.
func (w *world) begin(cfg Config) (end func()) {
	w.t.Helper()
	r, err := New(cfg, Deps{
		Store: w.store, Routes: w, Adapters: w, Sealer: w,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.relay = r
	if err := r.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
}

func (w *world) Route(tenant, adapter string) (*Route, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if adapter != w.route.Adapter {
		return nil, fault.New(fault.AdapterNotFound, "")
	}
	r := *w.route
	r.Tenant = tenant
	return &r, nil
}

func (w *world) Seal(plaintext, ad []byte) ([]byte, error) {
	return append(append([]byte{byte(len(ad))}, ad...), plaintext...), nil
}

func (w *world) Unseal(ciphertext, ad []byte) ([]byte, error) {
	n := int(ciphertext[0])
	if string(ciphertext[1:1+n]) != string(ad) {
		return nil, errors.New("sealed for another tenant")
	}
	return ciphertext[1+n:], nil
}

func (w *world) Acquire(_ context.Context, t Target) (Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.targets = append(w.targets, t)
	if w.down != nil {
		return nil, w.down
	}
	if w.hand != nil {
		return w.hand, nil
	}
	if w.live == nil {
		w.live = &process{w: w, done: make(chan struct{}), canFind: w.canFind}
	}
	return w.live, nil
}

// behave sets what the adapter does from now on.
func (w *world) behave(add func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add = add
}

// write makes a CRM record now and returns its ID.
func (w *world) write(req *sdk.AddMessageLogRequest) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := record{id: fmt.Sprintf("R%d", len(w.records)+1), key: req.IdempotencyKey, at: time.Now()}
	for _, m := range req.Messages {
		r.messages = append(r.messages, m.ID.String())
	}
	w.records = append(w.records, r)
	return r.id
}

// sent returns the calls that the adapter got.
func (w *world) sent() []*sdk.AddMessageLogRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// asked returns the searches that the adapter got.
func (w *world) asked() []*sdk.FindMessageLogRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.finds)
}

// blind makes the adapter one that cannot search.
func (w *world) blind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live, w.canFind = nil, false
}

// copies returns how many CRM records hold the message.
func (w *world) copies(message string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, r := range w.records {
		if slices.Contains(r.messages, message) {
			n++
		}
	}
	return n
}

// process is an adapter process.
type process struct {
	w       *world
	canFind bool
	once    sync.Once
	done    chan struct{}
}

// die ends the process; calls in flight break off.
func (p *process) die() {
	p.once.Do(func() {
		p.w.mu.Lock()
		if p.w.live == p {
			p.w.live = nil
		}
		p.w.mu.Unlock()
		close(p.done)
	})
}

// errBroken is what the wire says when the process ends in mid-call.
var errBroken = &fault.Error{Code: fault.Outcome, Class: fault.Unknown, Msg: "the connection to the adapter ended", Err: rpc.ErrBrokenOff}

func (p *process) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	p.w.mu.Lock()
	seen := *req
	p.w.calls = append(p.w.calls, &seen)
	add := p.w.add
	p.w.mu.Unlock()
	if add == nil {
		return sdk.Logged(p.w.write(req)), nil
	}
	type answer struct {
		resp *sdk.AddMessageLogResponse
		err  error
	}
	out := make(chan answer, 1)
	go func() {
		resp, err := add(ctx, p, req)
		out <- answer{resp, err}
	}()
	select {
	case a := <-out:
		return a.resp, a.err
	case <-p.done:
		return nil, errBroken
	case <-ctx.Done():
		return nil, errBroken
	}
}

func (p *process) FindMessageLog(_ context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	ids, slow, asOf := p.w.lookUp(req)
	if req.Original.AuthHeader.Reveal() == "Bearer expired" {
		return nil, fault.Unauthorized("expired")
	}
	time.Sleep(slow)
	if len(ids) > 0 {
		return sdk.Found(ids...), nil
	}
	return sdk.NotFound(asOf), nil
}

// lookUp notes a search and returns what the CRM shows.
func (w *world) lookUp(req *sdk.FindMessageLogRequest) (ids []string, slow time.Duration, asOf time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finds = append(w.finds, req)
	for _, r := range w.records {
		if r.key == req.IdempotencyKey && !time.Now().Before(r.at.Add(lag)) {
			ids = append(ids, r.id)
		}
	}
	return ids, w.slow, time.Now().Add(-w.age)
}

func (p *process) CanFind() bool         { return p.canFind }
func (p *process) Done() <-chan struct{} { return p.done }
func (p *process) Condemn(string)        { p.die() }
func (p *process) Release(bool)          {}

// body is a request body for messages of contact 7.
func body(auth string, messages ...string) []byte {
	list := ""
	for i, id := range messages {
		if i > 0 {
			list += ","
		}
		list += fmt.Sprintf(`{"id":%q,"creationTime":"2026-01-02T03:04:%02dZ","subject":"hello"}`, id, i)
	}
	return fmt.Appendf(nil, `{"user":{"id":"42","hostname":"x.acme.example"},"contactInfo":{"id":7,"type":"person"},
		"authHeader":%q,"message":[%s]}`, auth, list)
}

// send makes one addMessageLog call.
func (w *world) send(wait time.Duration, messages ...string) (*Result, error) {
	return w.sendAs("Bearer good", wait, messages...)
}

func (w *world) sendAs(auth string, wait time.Duration, messages ...string) (*Result, error) {
	return w.relay.AddMessageLog(context.Background(), Call{
		Tenant: "t1", Adapter: "acme", Body: body(auth, messages...), Wait: wait, RequestID: "r1",
	})
}

// logged demands that the call logs its messages, and returns the log ID.
func (w *world) logged(res *Result, err error) string {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("want a log ID, got %v", err)
	}
	return res.Entry.LogID
}

// wantCode demands a fault with that code.
func (w *world) wantCode(want fault.Code, err error) {
	w.t.Helper()
	if err == nil || fault.CodeOf(err) != want {
		w.t.Fatalf("want %s, got %v", want, err)
	}
}

// only returns the single entry of the ledger.
func (w *world) only() ledger.Entry {
	w.t.Helper()
	entries, err := w.store.Entries(context.Background(), store.Query{Tenant: "t1"})
	if err != nil || len(entries) != 1 {
		w.t.Fatalf("want one entry, got %d, %v", len(entries), err)
	}
	return entries[0]
}

// wantState demands that the single entry is in that state once all is quiet.
func (w *world) wantState(want ledger.State) ledger.Entry {
	w.t.Helper()
	synctest.Wait()
	e := w.only()
	if e.State != want {
		w.t.Fatalf("entry is %s, want %s (problem %+v)", e.State, want, e.Problem)
	}
	return e
}

// wantCopies demands that the message stands in n CRM records.
func (w *world) wantCopies(n int, messages ...string) {
	w.t.Helper()
	for _, m := range messages {
		if got := w.copies(m); got != n {
			w.t.Errorf("message %s stands in %d CRM records, want %d", m, got, n)
		}
	}
}
