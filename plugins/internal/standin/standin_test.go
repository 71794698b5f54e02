package standin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	json2 "github.com/go-json-experiment/json"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "ready")
	if err := Announce(&out, file, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	var ready struct{ URL string }
	if err != nil || string(content) != out.String() || json.Unmarshal(content, &ready) != nil {
		t.Fatalf("announced %q, in the file %q, %v", out.String(), content, err)
	}
	held := make(chan struct{}) // by a request that closing lets go
	ctx, cancel := context.WithCancel(t.Context())
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-held })
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, ln, handler, time.Minute, func() { close(held) }) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("the running request was cut: %v", err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := Serve(t.Context(), ln, http.NotFoundHandler(), time.Minute, nil); err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}

func TestListenOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"0.0.0.0:0": "only a loopback address", "nonsense": "listen"} {
		if ln, err := Listen(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", address, ln, err)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("alpha\nbeta\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, text, want string }{
		"file":    {file, "gamma", "alpha beta"},
		"text":    {"", "gamma, delta", "gamma delta"},
		"none":    {"", " ,", "error: no tokens: set ACME_TOKENS or use -tokens-file"},
		"no file": {file + "x", "gamma", "error: read tokens"},
	} {
		got, err := Tokens(c.file, "ACME_TOKENS", c.text)
		text := strings.Join(got, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}

// switches are a CRM's.
type switches struct {
	Lag time.Duration `json:"lag"`
}

// MarshalJSON writes durations as text.
func (s switches) MarshalJSON() ([]byte, error) {
	type plain switches
	return json2.Marshal(plain(s), Durations())
}

// UnmarshalJSON reads durations as text.
func (s *switches) UnmarshalJSON(raw []byte) error {
	type plain switches
	return json2.Unmarshal(raw, (*plain)(s), Durations())
}

func TestReadSwitches(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "switches.json")
	if err := os.WriteFile(file, []byte(`{"lag":"1.5s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want time.Duration
		ok   bool
	}{
		"nothing": {"", 0, true},
		"text":    {`{"lag":"2s"}`, 2 * time.Second, true},
		"file":    {"@" + file, 1500 * time.Millisecond, true},
		"no file": {"@" + file + "x", 0, false},
		"unknown": {`{"slow":"2s"}`, 0, false},
		"number":  {`{"lag":2}`, 0, false},
		"no time": {`{"lag":"soon"}`, 0, false},
	} {
		var got switches
		if err := ReadSwitches(c.text, &got); got.Lag != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if raw, err := json.Marshal(switches{1500 * time.Millisecond}); err != nil || string(raw) != `{"lag":"1.5s"}` {
		t.Errorf("written as %s, %v", raw, err)
	}
}
