package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
	"github.com/patchbay-crm/patchbay/sdk"
)

const platform = runtime.GOOS + "/" + runtime.GOARCH

// root is the module's directory.
const root = "../../../../.."

const exampleName = "examplecrm"

// hostConfig is the host's configuration but for its directories. Both adapters
// may serve every caller at once.
const hostConfig = `listen: 127.0.0.1:0
logLevel: warn
dataDir: %s
adaptersDirs: [%s]
adapters:
  instant: {env: {BENCH_PROFILE: "%s"}}
  examplecrm: {env: {EXAMPLECRM_BASE_URL: "%s"}, allowPrivate: ["127.0.0.1"], limits: {concurrency: 64}}
`

// host is a running host with both adapters enabled, and the CRM.
type host struct {
	tb       testing.TB
	url, crm string
	token    sdk.Secret
	client   *http.Client
	request  *request

	mu   sync.Mutex
	seen map[string]bool // log IDs that the CRM gave
}

// openHost starts a host in a process of its own. Its ledger lies on the disk of
// the test's temporary directory.
func openHost(tb testing.TB, profile string) *host {
	tb.Helper()
	dir := tb.TempDir()
	packages := filepath.Join(dir, "adapters")
	pack(tb, packages, write(tb, dir, "instant.json", fmt.Sprintf(instantManifest, platform)), self(tb))
	pack(tb, packages, filepath.Join(root, "manifests", exampleName+".json"), build(tb, dir, exampleName))
	h := &host{tb: tb, request: newRequest(), seen: map[string]bool{}}
	h.crm = spawn(tb, roleCRM)
	data := filepath.Join(dir, "data")
	config := write(tb, dir, "patchbay.yaml", fmt.Sprintf(hostConfig, data, packages, profile, h.crm))
	h.url = spawn(tb, roleHost, envConfig+"="+config, envProfile+"="+profile)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	tb.Cleanup(transport.CloseIdleConnections)
	h.client = &http.Client{Transport: transport}
	var err error
	if h.token, err = app.AdminToken(filepath.Join(data, "admin.token")); err != nil {
		tb.Fatal(err)
	}
	h.setUp()
	return h
}

// setUp enables the adapters for a tenant, and goes on with a token of the
// tenant's, as callers have one.
func (h *host) setUp() {
	h.tb.Helper()
	tenant := "/v1/tenants/" + tenantID
	h.must(http.MethodPut, tenant, `{}`, nil)
	for _, adapter := range []string{instantName, exampleName} {
		h.must(http.MethodPut, tenant+"/adapters/"+adapter, `{"enabled":true}`, nil)
	}
	var made struct{ Token string }
	h.must(http.MethodPost, tenant+"/tokens", `{"name":"bench"}`, &made)
	h.token = sdk.NewSecret(made.Token)
}

// must makes a request of the API that has to succeed.
func (h *host) must(method, path, body string, into any) {
	h.tb.Helper()
	status, answer, err := h.do(context.Background(), method, path, []byte(body))
	if err != nil || status >= http.StatusMultipleChoices {
		h.tb.Fatalf("%s %s: %d %s %v", method, path, status, answer, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		h.tb.Fatal(err)
	}
}

func (h *host) do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+h.token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// path returns the way through the host to the adapter. right checks the log ID
// that a message got.
func (h *host) path(name, adapter string, right func(message, logID string) error) *path {
	url := "/v1/tenants/" + tenantID + "/adapters/" + adapter + "/message-logs"
	return &path{name: name, call: func(ctx context.Context, n int64) error {
		status, answer, err := h.do(ctx, http.MethodPost, url, h.request.body(n))
		if err != nil {
			return err
		}
		var log struct{ LogID, State string }
		if err := json.Unmarshal(answer, &log); err != nil || status != http.StatusCreated || log.State != "logged" {
			return fmt.Errorf("message %d was answered with %d %s", n, status, answer)
		}
		return right(strconv.FormatInt(n, 10), log.LogID)
	}}
}

// named is right for log IDs that name the message.
func named(message, id string) error {
	if id != logID(message) {
		return fmt.Errorf("message %s was answered with the log ID %s", message, id)
	}
	return nil
}

// distinct is right for log IDs that the CRM gives.
func (h *host) distinct(message, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id == "" || h.seen[id] {
		return fmt.Errorf("message %s was answered with the log ID %q of another one", message, id)
	}
	h.seen[id] = true
	return nil
}

// check holds the ledger and the CRM against what was sent.
func (h *host) check(instant, example int64) {
	h.tb.Helper()
	_, metrics, err := h.do(context.Background(), http.MethodGet, "/metrics", nil)
	if err != nil {
		h.tb.Fatal(err)
	}
	const logged = `patchbay_message_logs{state="logged"} `
	_, rest, _ := strings.Cut(string(metrics), logged)
	count, _, _ := strings.Cut(rest, "\n")
	entries, err := strconv.ParseFloat(count, 64)
	if err != nil || int64(entries) != instant+example {
		h.tb.Errorf("the ledger holds %q logged entries, want %d", count, instant+example)
	}
	resp, err := h.client.Get(h.crm + "/_control/counts")
	if err != nil {
		h.tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var counts server.Counts
	if err := json.NewDecoder(resp.Body).Decode(&counts); err != nil {
		h.tb.Fatal(err)
	}
	if int64(counts.Activities) != example || int64(counts.Messages) != example || counts.DoubledMessages != 0 {
		h.tb.Errorf("the CRM holds %+v, want %d messages, each once", counts, example)
	}
}

func write(tb testing.TB, dir, name, content string) string {
	tb.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

func pack(tb testing.TB, out, manifest, executable string) {
	tb.Helper()
	in := catalog.PackInput{Out: out, Manifest: manifest, Executables: map[string]string{platform: executable}}
	if _, err := catalog.Pack(context.Background(), in); err != nil {
		tb.Fatal(err)
	}
}

// build builds a bundled adapter as "make build" does.
func build(tb testing.TB, dir, adapter string) string {
	tb.Helper()
	out := filepath.Join(dir, adapter)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./plugins/"+adapter)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v\n%s", adapter, err, text)
	}
	return out
}
