package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

// adapterRole is the argument that makes the test binary an adapter process, the
// others make it one that does not serve.
const (
	adapterRole = "serve-as-adapter"
	exitAtStart = "exit-at-start"
	notServing  = "not-serving"
	exitWhile   = "exit-while-there-is=" // and a file
)

func TestMain(m *testing.M) {
	if slices.Contains(os.Args, adapterRole) {
		switch {
		case slices.Contains(os.Args, exitAtStart), slices.ContainsFunc(os.Args, switchedOff):
			os.Exit(3)
		case slices.Contains(os.Args, notServing):
			serve.Adapter(&sickEcho{})
		default:
			serve.Adapter(&echo{})
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// switchedOff reports whether the argument names a file that is there.
func switchedOff(arg string) bool {
	file, named := strings.CutPrefix(arg, exitWhile)
	_, err := os.Stat(file)
	return named && err == nil
}

// echo is an adapter that answers with log IDs of its own and holds calls back on
// demand. It keeps no records and cannot search.
type echo struct {
	count atomic.Int64
	put   atomic.Bool // a call was put off
}

// AddMessageLog answers by the contact's name.
func (e *echo) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	switch req.ContactInfo.Name {
	case "slow":
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return nil, fault.OutcomeUnknown(ctx.Err())
		}
	case "later": // once
		if e.put.CompareAndSwap(false, true) {
			slog.InfoContext(ctx, "call put off")
			return nil, fault.RetryAfter(2*time.Second, "later")
		}
	case "environment":
		return sdk.Logged(strings.Join(os.Environ(), "|")), nil
	case "die":
		os.Exit(3)
	case "rejected":
		return nil, fault.Rejected("no such contact")
	}
	return sdk.Logged(fmt.Sprintf("%d-%d", os.Getpid(), e.count.Add(1))), nil
}

// sickEcho is an echo that says that it cannot serve.
type sickEcho struct{ echo }

// CheckHealth says no.
func (*sickEcho) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.NotServing("told not to serve"), nil
}

const echoManifest = `{
  "schemaVersion": 1, "name": "echo", "displayName": "Echo", "version": "1.0.0",
  "author": {"name": "Test", "websiteUrl": "https://example.com"}, "protocolVersions": [1],
  "run": {"runtime": "native", "files": {"%s/%s": "echo"}, "args": ["serve-as-adapter"], "env": ["ECHO_COLOUR"], "egress": []},
  "auth": {"type": "none"}}`

// packages makes an adapters folder with the test binary as its one adapter.
func packages(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapters")
	pack(t, out, fmt.Sprintf(echoManifest, runtime.GOOS, runtime.GOARCH))
	return out
}

// pack puts a package of the test binary into an adapters folder.
func pack(t *testing.T, out, manifest string) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "echo.json")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Pack(t.Context(), catalog.PackInput{
		Out: out, Manifest: file, Executables: map[string]string{runtime.GOOS + "/" + runtime.GOARCH: executable},
	}); err != nil {
		t.Fatal(err)
	}
}

// running is a host under test.
type running struct {
	t     *testing.T
	host  *Host
	stop  context.CancelFunc
	ended chan error
	token sdk.Secret
}

func configure(t *testing.T, adapters, data string) *config.Config {
	t.Helper()
	c, _, err := config.Load(config.Sources{Environ: []string{
		"PATCHBAY_LISTEN=127.0.0.1:0", "PATCHBAY_DATA_DIR=" + data, "PATCHBAY_ADAPTERS_DIRS=" + adapters, "PATCHBAY_DRAIN_TIMEOUT=5s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.Adapters["echo"] = config.Adapter{Env: config.Env{"ECHO_COLOUR": "blue", "ECHO_OTHER": "not listed"}}
	return c
}

// begin starts a host; the test's end stops it.
func begin(t *testing.T, c *config.Config) *running {
	t.Helper()
	return beginWith(t, c, t.Output())
}

// beginWith is begin with another place for the log, which may be read once the
// host has ended.
func beginWith(t *testing.T, c *config.Config, log io.Writer) *running {
	t.Helper()
	host, err := New(c, Options{Log: slog.New(slog.NewTextHandler(log, nil)), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, host: host, stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- host.Run(ctx) }()
	t.Cleanup(func() { _ = r.end() })
	select {
	case <-host.Ready():
	case err := <-r.ended:
		r.ended <- err
		t.Fatalf("the host did not start: %v", err)
	}
	if r.token, err = AdminToken(c.AdminTokenFile); err != nil {
		t.Fatal(err)
	}
	return r
}

// end stops the host and returns how it ended.
func (r *running) end() error {
	r.stop()
	err := <-r.ended
	r.ended <- err // for whoever asks again
	return err
}

// ask sends a request as the admin and decodes the answer.
func (r *running) ask(method, path, body string) (int, map[string]any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(r.t.Context()), method, r.host.URL()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token.Reveal())
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var out map[string]any
	if len(bytes.TrimSpace(data)) > 0 {
		if err := json.Unmarshal(data, &out); err != nil {
			r.t.Fatalf("%s %s answered %s: %s", method, path, resp.Status, data)
		}
	}
	return resp.StatusCode, out
}

// tenant makes a tenant for which the adapter is enabled.
func (r *running) tenant(id string) {
	r.t.Helper()
	if code, out := r.ask(http.MethodPut, "/v1/tenants/"+id, `{}`); code != http.StatusCreated {
		r.t.Fatalf("tenant: %d %v", code, out)
	}
	if code, out := r.ask(http.MethodPut, "/v1/tenants/"+id+"/adapters/echo", `{"enabled":true}`); code != http.StatusCreated {
		r.t.Fatalf("enablement: %d %v", code, out)
	}
}

// log logs one message.
func (r *running) log(tenant, message, contact string) (int, map[string]any) {
	r.t.Helper()
	return r.ask(http.MethodPost, "/v1/tenants/"+tenant+"/adapters/echo/message-logs", fmt.Sprintf(
		`{"contactInfo":{"id":7,"name":%q},"message":{"id":%q,"creationTime":"2015-02-18T13:24:50.000Z"}}`, contact, message))
}

func TestAHostAcrossRestarts(t *testing.T) {
	t.Parallel()
	c := configure(t, packages(t), filepath.Join(t.TempDir(), "data"))
	r := begin(t, c)
	r.tenant("acme")
	code, first := r.log("acme", "m1", "")
	if code != http.StatusCreated || first["logId"] == "" {
		t.Fatalf("%d %v", code, first)
	}
	code, again := r.log("acme", "m1", "")
	if code != http.StatusOK || again["logId"] != first["logId"] || again["duplicate"] != true {
		t.Fatalf("%d %v", code, again)
	}
	if code, out := r.log("acme", "m2", "rejected"); code != http.StatusFailedDependency || out["code"] != "crm_rejected" {
		t.Fatalf("%d %v", code, out)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r = begin(t, c)
	code, again = r.log("acme", "m1", "")
	if code != http.StatusOK || again["logId"] != first["logId"] {
		t.Errorf("after a restart: %d %v", code, again)
	}
	if code, out := r.log("acme", "m3", ""); code != http.StatusCreated {
		t.Errorf("after a restart: %d %v", code, out)
	}
}

func TestAdaptersSeeTheirOwnVariablesOnly(t *testing.T) {
	t.Parallel()
	r := begin(t, configure(t, packages(t), filepath.Join(t.TempDir(), "data")))
	r.tenant("acme")
	_, out := r.log("acme", "m1", "environment")
	seen, _ := out["logId"].(string)
	if !strings.Contains(seen, "ECHO_COLOUR=blue") || !strings.Contains(seen, "PATCHBAY_ADAPTER=echo") {
		t.Errorf("the adapter's own variables are missing: %v", out)
	}
	for _, unwanted := range []string{"ECHO_OTHER", "HOME=", "PATH="} {
		if strings.Contains(seen, unwanted) {
			t.Errorf("%s reached the adapter: %s", unwanted, seen)
		}
	}
}

func TestCallsInFlightEndBeforeTheHost(t *testing.T) {
	t.Parallel()
	c := configure(t, packages(t), filepath.Join(t.TempDir(), "data"))
	r := begin(t, c)
	r.tenant("acme")
	if code, out := r.log("acme", "m0", ""); code != http.StatusCreated { // the process runs
		t.Fatalf("%d %v", code, out)
	}
	type answer struct {
		code int
		out  map[string]any
	}
	answers := make(chan answer, 1)
	go func() {
		code, out := r.log("acme", "m1", "slow")
		answers <- answer{code, out}
	}()
	for inFlight := 0.0; inFlight < 1; {
		_, out := r.ask(http.MethodGet, "/v1/adapters/echo", "")
		for _, p := range out["processes"].([]any) {
			inFlight = p.(map[string]any)["inFlight"].(float64)
		}
	}
	if err := r.end(); err != nil {
		t.Errorf("the host ended with %v", err)
	}
	if a := <-answers; a.code != http.StatusCreated {
		t.Errorf("the call in flight was answered %d %v", a.code, a.out)
	}
}

func TestProcessesOverHTTP(t *testing.T) {
	t.Parallel()
	r := begin(t, configure(t, packages(t), filepath.Join(t.TempDir(), "data")))
	if code, out := r.ask(http.MethodPost, "/v1/adapters/echo/restart", ""); code != http.StatusServiceUnavailable {
		t.Errorf("restart of nothing: %d %v", code, out)
	}
	r.tenant("acme")
	_, before := r.log("acme", "m1", "")
	if code, out := r.ask(http.MethodPost, "/v1/adapters/echo/restart", `{"version":"1.0.0"}`); code != http.StatusNoContent {
		t.Fatalf("restart: %d %v", code, out)
	}
	_, after := r.log("acme", "m2", "")
	pid := func(out map[string]any) string {
		text, _ := out["logId"].(string)
		pid, _, _ := strings.Cut(text, "-")
		return pid
	}
	if pid(before) == "" || pid(before) == pid(after) {
		t.Errorf("the process was not replaced: %v, %v", before, after)
	}
	if code, out := r.ask(http.MethodPost, "/v1/adapters/echo/restart", `{"tenant":"acme"}`); code != http.StatusNotImplemented {
		t.Errorf("restart for a tenant: %d %v", code, out)
	}
	if code, out := r.ask(http.MethodPost, "/v1/adapters/echo/unquarantine", ""); code >= http.StatusInternalServerError {
		t.Errorf("unquarantine: %d %v", code, out)
	}
	if code, out := r.ask(http.MethodGet, "/v1/adapters/echo/crashes", ""); code != http.StatusOK || len(out["items"].([]any)) != 0 {
		t.Errorf("crashes: %d %v", code, out)
	}
}

func TestStartsThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(t *testing.T, c *config.Config)
		want  string
	}{
		"another key": {
			spoil: func(_ *testing.T, c *config.Config) { c.KeyFile += ".other" },
			want:  "written with another key",
		},
		"open admin token": {
			spoil: func(t *testing.T, c *config.Config) {
				t.Helper()
				if err := os.Chmod(c.AdminTokenFile, 0o644); err != nil {
					t.Fatal(err)
				}
			},
			want: "chmod 600",
		},
		"address of another machine": {
			spoil: func(_ *testing.T, c *config.Config) { c.Listen = "192.0.2.1:1" },
			want:  "listen on 192.0.2.1:1",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := configure(t, t.TempDir(), filepath.Join(t.TempDir(), "data"))
			if err := begin(t, c).end(); err != nil {
				t.Fatal(err)
			}
			tc.spoil(t, c)
			host, err := New(c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestASecondHostIsRefused(t *testing.T) {
	t.Parallel()
	c := configure(t, t.TempDir(), filepath.Join(t.TempDir(), "data"))
	begin(t, c)
	second, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
}
