package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/config"
)

// object is a JSON object.
type object = map[string]any

// setup says how a host is started. The zero value has the bundled adapters and
// no CRM.
type setup struct {
	// crm is the CRM of examplecrm.
	crm *crm
	// pipedrive is the account of pipedrive; with one, pipedrive is the one adapter
	// that is installed by default.
	pipedrive *pipedrive
	// data is the data directory; empty for a fresh one.
	data string
	// dirs are the adapters folders; none for those of the bundled adapters.
	dirs []string
	// adapters is what the configuration says about adapters beside the quick
	// times that every adapter gets: by name, in the form of the file.
	adapters map[string]object
	// drain is how long a stop lets calls end; 10 s when empty.
	drain string
	// maxBody is the largest body; 1 MiB when empty.
	maxBody string
	// maxWait is the longest wait of a caller; 60 s when empty.
	maxWait string
}

// quick are times of an adapter that let an unknown entry settle about four
// seconds after it was sent: one of the four is the host's own slack.
func quick() object {
	return object{
		"limits":    object{"callTimeout": "2s"},
		"reconcile": object{"applyWithin": "500ms", "searchLag": "500ms"},
	}
}

// configure writes the configuration and returns its path and the data directory.
func (s setup) configure(t testing.TB) (file, data string) {
	t.Helper()
	dir := t.TempDir()
	data = cmp.Or(s.data, filepath.Join(dir, "var"))
	adapters := object{}
	for _, name := range []string{"examplecrm", "faulty", "recorder", "pipedrive"} {
		own := quick()
		if name == "examplecrm" && s.crm != nil {
			own["env"] = object{"EXAMPLECRM_BASE_URL": s.crm.url(), "EXAMPLECRM_LOG_LEVEL": "debug"}
			own["allowPrivate"] = []string{"127.0.0.1"}
		}
		if name == "pipedrive" && s.pipedrive != nil {
			own["env"] = object{"PIPEDRIVE_BASE_URL": s.pipedrive.url, "PIPEDRIVE_LOG_LEVEL": "debug"}
			own["allowPrivate"] = []string{"127.0.0.1"}
		}
		for key, value := range s.adapters[name] {
			if members, ok := own[key].(object); ok {
				maps.Copy(members, value.(object))
				continue
			}
			own[key] = value
		}
		adapters[name] = own
	}
	dirs := s.dirs
	if dirs == nil && s.pipedrive != nil {
		dirs = []string{bundled(t, "pipedrive")}
	}
	if dirs == nil {
		dirs = []string{bundled(t, "examplecrm"), bundled(t, "faulty")}
	}
	// JSON is YAML too.
	text, err := json.Marshal(object{
		"listen": "127.0.0.1:0", "dataDir": data, "adaptersDirs": dirs, "adapters": adapters,
		"logLevel": "debug", "logFormat": "json",
		"drainTimeout": cmp.Or(s.drain, "10s"), "maxBody": cmp.Or(s.maxBody, "1MiB"), "maxWait": cmp.Or(s.maxWait, "60s"),
	})
	must(t, err)
	file = filepath.Join(dir, "patchbay.yaml")
	must(t, os.WriteFile(file, text, 0o600))
	return file, data
}

// host is a running host.
type host struct {
	url    string
	admin  string // token
	data   string // data directory
	log    *logBook
	client *http.Client
	// answers holds all that the host answered.
	answers logBook
	// stop stops the host in order and returns what Run returned. Further calls
	// return the same.
	stop func() error
	// ended is whether the test itself ended the host the hard way.
	ended bool
	// pidOfCommand is the pid of a host that is a process of its own.
	pidOfCommand int
}

// cut stops a host for which a test wants no orderly end.
func (h *host) cut() {
	h.ended = true
	_ = h.stop() // calls were cut off, or the host was killed: that is what was wanted
}

// startHost starts a host in this process.
func startHost(t testing.TB, s setup) *host {
	t.Helper()
	file, data := s.configure(t)
	c, warnings, err := config.Load(config.Sources{File: file})
	must(t, err)
	log := &logBook{}
	running, err := app.New(c, app.Options{Log: app.NewLogger(log, c), Version: "e2e", Warnings: warnings})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	h := &host{data: data, log: log, stop: sync.OnceValue(func() error {
		cancel()
		return <-ended
	})}
	t.Cleanup(func() { h.end(t) })
	select {
	case <-running.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("the host did not start: %v", err)
	}
	h.connect(t, running.URL())
	return h
}

// connect makes the client.
func (h *host) connect(t testing.TB, url string) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(h.data, "admin.token"))
	must(t, err)
	h.url, h.admin = url, strings.TrimSpace(string(token))
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	h.client = &http.Client{Transport: transport, Timeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
}

// end stops a host whose test is over, and shows the log of one that failed.
func (h *host) end(t testing.TB) {
	t.Helper()
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	if err := h.stop(); err != nil && !h.ended {
		t.Errorf("the host ended with: %v", err)
	}
	if t.Failed() {
		t.Logf("the end of the host's log:\n%s", h.log.tail(40))
	}
}

// logBook keeps what a host logs. Its methods may be called concurrently.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// tail returns the last records but those of single requests.
func (b *logBook) tail(most int) string {
	var lines []string
	for line := range strings.Lines(b.String()) {
		if !strings.Contains(line, `"msg":"request `) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

// records returns the log records with that message.
func (b *logBook) records(t testing.TB, msg string) []object {
	t.Helper()
	var out []object
	for line := range strings.Lines(b.String()) {
		var r object
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("the log holds a line that is no record: %v: %s", err, line)
		}
		if r[slog.MessageKey] == msg {
			out = append(out, r)
		}
	}
	return out
}
