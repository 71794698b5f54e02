package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const adminToken = "admin-token-of-32-bytes-or-so-01"

// fakeRelay answers by its functions, and notes what it was asked.
type fakeRelay struct {
	mu      sync.Mutex
	add     func(context.Context, relay.Call) (*relay.Result, error)
	retry   func(context.Context, relay.RetryCall) (*relay.Result, error)
	resolve func(context.Context, relay.ResolveCall) (ledger.Entry, error)
	forget  func(ctx context.Context, tenant, id string) (ledger.Entry, error)
	calls   []relay.Call
}

func (f *fakeRelay) AddMessageLog(ctx context.Context, call relay.Call) (*relay.Result, error) {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	return f.add(ctx, call)
}

func (f *fakeRelay) Retry(ctx context.Context, call relay.RetryCall) (*relay.Result, error) {
	return f.retry(ctx, call)
}

func (f *fakeRelay) Resolve(ctx context.Context, call relay.ResolveCall) (ledger.Entry, error) {
	return f.resolve(ctx, call)
}

func (f *fakeRelay) Forget(ctx context.Context, tenant, id string) (ledger.Entry, error) {
	return f.forget(ctx, tenant, id)
}

// fakeLedger holds entries, newest first, and notes the last query.
type fakeLedger struct {
	mu      sync.Mutex
	entries []ledger.Entry
	last    store.Query
	err     error
}

func (f *fakeLedger) Entry(_ context.Context, tenant, id string) (ledger.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return ledger.Entry{}, f.err
	}
	for _, e := range f.entries {
		if e.Tenant == tenant && e.ID == id {
			return e, nil
		}
	}
	return ledger.Entry{}, store.ErrNotFound
}

func (f *fakeLedger) Entries(_ context.Context, q store.Query) ([]ledger.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = q
	var out []ledger.Entry
	for _, e := range f.entries {
		if e.Tenant == q.Tenant && (q.Before == "" || e.ID < q.Before) && len(out) < q.Limit {
			out = append(out, e)
		}
	}
	return out, f.err
}

// fakeCatalog holds packages, the newest version of an adapter first.
type fakeCatalog struct {
	packages []*catalog.Package
	problems map[string][]catalog.Problem
}

func (c *fakeCatalog) Adapters() []catalog.Adapter {
	var out []catalog.Adapter
	for _, p := range c.packages {
		if len(out) == 0 || out[len(out)-1].Name != p.Name {
			out = append(out, catalog.Adapter{
				Name: p.Name, DisplayName: p.Manifest.DisplayName, Problems: c.problems[p.Name],
			})
		}
		last := &out[len(out)-1]
		last.Versions = append(last.Versions, p.Version)
	}
	if broken := c.problems["broken"]; broken != nil {
		out = append(out, catalog.Adapter{Name: "broken", DisplayName: "broken", Problems: broken})
	}
	return out
}

func (c *fakeCatalog) Lookup(name, version string) (*catalog.Package, error) {
	for _, p := range c.packages {
		if p.Name == name && p.Version == version {
			return p, nil
		}
	}
	return nil, fault.New(fault.AdapterNotFound, "version not installed in /srv/secret/path")
}

func (c *fakeCatalog) Latest(name string) (*catalog.Package, error) {
	for _, p := range c.packages {
		if p.Name == name && !strings.Contains(p.Version, "-") {
			return p, nil
		}
	}
	return nil, fault.New(fault.AdapterNotFound, "no stable version")
}

// fakeProcesses notes what it was told.
type fakeProcesses struct {
	mu       sync.Mutex
	statuses []httpapi.ProcessStatus
	crashes  []httpapi.Crash
	told     []string
	err      error
}

func (p *fakeProcesses) Statuses() []httpapi.ProcessStatus { return p.statuses }

func (p *fakeProcesses) Crashes(string) []httpapi.Crash { return p.crashes }

func (p *fakeProcesses) Restart(_ context.Context, adapter, version, tenant string) error {
	return p.note("restart", adapter, version, tenant)
}

func (p *fakeProcesses) Unquarantine(_ context.Context, adapter, version, tenant string) error {
	return p.note("unquarantine", adapter, version, tenant)
}

func (p *fakeProcesses) note(words ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, strings.Join(words, " "))
	return p.err
}

// fakeInstaller installs by its function, and notes what it was asked.
type fakeInstaller struct {
	mu      sync.Mutex
	install func(adapter, version string) error // nil: nothing lies there that is new
	told    []string
}

func (i *fakeInstaller) Install(_ context.Context, adapter, version string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.told = append(i.told, strings.TrimSpace(adapter+" "+version))
	if i.install == nil {
		return nil
	}
	return i.install(adapter, version)
}

// fakeSealer turns the bytes around, which hides them well enough.
type fakeSealer struct{}

func (fakeSealer) Seal(data, _ []byte) ([]byte, error)   { return turned(data), nil }
func (fakeSealer) Unseal(data, _ []byte) ([]byte, error) { return turned(data), nil }

func turned(data []byte) []byte {
	out := bytes.Clone(data)
	for i := range out {
		out[i] = data[len(data)-1-i]
	}
	return out
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote sync.Cond
}

func newLog() *lockedBuffer {
	b := &lockedBuffer{}
	b.wrote.L = &b.mu
	return b
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrote.Broadcast()
	return b.buf.Write(p)
}

// reset empties the log.
func (b *lockedBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

// waitFor waits until the log has the text.
func (b *lockedBuffer) waitFor(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !strings.Contains(b.buf.String(), text) {
		b.wrote.Wait()
	}
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// fixture is an API with everything around it: tenants acme and other, the
// adapters crm (enabled for acme) and idle (never enabled), tokens of both.
type fixture struct {
	*httpapi.API
	t         testing.TB
	relay     *fakeRelay
	ledger    *fakeLedger
	catalog   *fakeCatalog
	processes *fakeProcesses
	installer *fakeInstaller
	directory *tenant.Directory
	store     *memory.Store
	logs      *lockedBuffer
	ready     error
	acme      string // acme's token
	other     string // other's token
}

func setup(t testing.TB, edit ...func(*httpapi.Config)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, relay: &fakeRelay{}, ledger: &fakeLedger{}, processes: &fakeProcesses{}, installer: &fakeInstaller{}, logs: newLog(),
		catalog: &fakeCatalog{packages: []*catalog.Package{
			pack(t, "crm", "1.1.0"), pack(t, "crm", "1.0.0"), pack(t, "idle", "2.0.0-beta.1"),
		}},
		store: memory.New(nil),
	}
	f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) { return result(true), nil }
	f.relay.retry = func(context.Context, relay.RetryCall) (*relay.Result, error) { return result(true), nil }
	f.relay.resolve = func(context.Context, relay.ResolveCall) (ledger.Entry, error) { return entry(entryID), nil }
	f.relay.forget = func(context.Context, string, string) (ledger.Entry, error) { return entry(entryID), nil }
	log := slog.New(slog.NewTextHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	f.directory, err = tenant.New(tenant.Config{
		Store: f.store, Ledger: f.store, Catalog: f.catalog, Sealer: fakeSealer{},
		AdminToken: sdk.NewSecret(adminToken), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := httpapi.Config{Version: "1.2.3", MaxBody: 64 << 10}
	for _, change := range edit {
		change(&cfg)
	}
	f.API, err = httpapi.New(cfg, httpapi.Deps{
		Relay: f.relay, Directory: f.directory, Catalog: f.catalog, Ledger: f.ledger, Processes: f.processes,
		Installer: f.installer, Ready: func() error { return f.ready }, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.acme, f.other = f.makeTenant("acme"), f.makeTenant("other")
	if _, _, err := f.directory.PutEnablement(context.Background(), "acme", "crm",
		node(t, `{"enabled":true,"settings":{"prefix":"Hi","webhookKey":"hush"}}`)); err != nil {
		t.Fatal(err)
	}
	return f
}

// makeTenant makes a tenant and returns a token of it.
func (f *fixture) makeTenant(id string) string {
	f.t.Helper()
	if _, _, err := f.directory.PutTenant(context.Background(), id, node(f.t, `{}`)); err != nil {
		f.t.Fatal(err)
	}
	_, secret, err := f.directory.CreateToken(context.Background(), id, node(f.t, `{"name":"test"}`))
	if err != nil {
		f.t.Fatal(err)
	}
	return secret.Reveal()
}

func node(t testing.TB, text string) *strictjson.Node {
	t.Helper()
	n, err := strictjson.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pack returns a package of the test manifest.
func pack(t testing.TB, name, version string) *catalog.Package {
	t.Helper()
	raw, err := os.ReadFile("testdata/crm.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	m.Name, m.Version = name, version
	return &catalog.Package{
		Name: name, Version: version, Manifest: m, Digest: strings.Repeat("ab", 32), Dir: "/srv/secret/path",
	}
}

const entryID = "01JZ0000000000000000000001"

func entry(id string) ledger.Entry {
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	return ledger.Entry{
		ID:      id,
		Scope:   ledger.Scope{Tenant: "acme", Adapter: "crm", Account: "acme.crm.example", ContactType: "person", ContactID: "7"},
		Version: "1.0.0", UserID: "42", Messages: []string{"60279564004"}, State: ledger.Logged, Epoch: 2, Attempts: 1,
		LogID: "5512", LogURL: "https://acme.crm.example/5512", CreatedAt: at, UpdatedAt: at.Add(time.Second),
	}
}

func result(created bool) *relay.Result {
	return &relay.Result{
		Entry: entry(entryID), Created: created,
		Messages: []relay.Message{{
			ID: "60279564004", State: ledger.Logged, Duplicate: !created, LogID: "5512", EntryID: entryID,
		}},
	}
}

// answered is what came back.
type answered struct {
	*http.Response
	body string
}

// do sends a request with a token and a JSON body; empty ones are left out.
func (f *fixture) do(method, path, token, body string, edit ...func(*http.Request)) answered {
	f.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, change := range edit {
		change(r)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	out := answered{w.Result(), w.Body.String()}
	f.documented(r, out)
	return out
}

// documented fails unless the OpenAPI document says that the request may be
// answered so.
func (f *fixture) documented(r *http.Request, got answered) {
	f.t.Helper()
	theSpec.once.Do(func() {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
		theSpec.spec = parseSpec(f.t, w.Body.Bytes())
	})
	if err := theSpec.spec.check(r, got); err != nil {
		f.t.Errorf("%s %s answered %d, and the OpenAPI document does not say so: %v\n%s",
			r.Method, r.URL.Path, got.StatusCode, err, got.body)
	}
}

// want fails unless the status is this.
func (r answered) want(t testing.TB, status int) answered {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("status %d, want %d; body %s", r.StatusCode, status, r.body)
	}
	return r
}

// refused fails unless the answer is a whole problem of that code.
func (r answered) refused(t testing.TB, code fault.Code) httpapi.Problem {
	t.Helper()
	p, err := r.problem()
	if err != nil {
		t.Fatalf("%v; status %d, body %s", err, r.StatusCode, r.body)
	}
	if p.Code != string(code) {
		t.Fatalf("code %s, want %s; body %s", p.Code, code, r.body)
	}
	return p
}

// problem reads the answer as a problem and checks what all problems have.
func (r answered) problem() (httpapi.Problem, error) {
	var p httpapi.Problem
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, err
	}
	var faults []error
	check := func(ok bool, what string) {
		if !ok {
			faults = append(faults, errors.New(what))
		}
	}
	check(r.Header.Get("Content-Type") == "application/problem+json", "Content-Type "+r.Header.Get("Content-Type"))
	check(p.Status == r.StatusCode, "status differs from the body's")
	check(p.Type == "/problems/"+p.Code, "type "+p.Type)
	check(p.Title != "" && p.Class != "" && p.Source != "", "title, class or source missing")
	check(p.RequestID == r.Header.Get("X-Request-Id") && p.RequestID != "", "requestId differs from the header")
	check(p.Instance == "urn:patchbay:request:"+p.RequestID, "instance "+p.Instance)
	return p, errors.Join(faults...)
}

// into decodes the body.
func (r answered) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("decode %s: %v", r.body, err)
	}
}
