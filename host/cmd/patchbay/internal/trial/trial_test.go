package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/doctor"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// packed returns the folder of a package whose adapter is this test's binary.
func packed(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := catalog.Pack(t.Context(), catalog.PackInput{
		Out: t.TempDir(), Manifest: "testdata/scripted.json",
		Executables: map[string]string{runtime.GOOS + "/" + runtime.GOARCH: self},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.Dir
}

// configured returns the sources of a configuration for the script.
func configured(t *testing.T, script, more string) config.Sources {
	t.Helper()
	file := filepath.Join(t.TempDir(), "patchbay.yaml")
	text := fmt.Sprintf(`{"adapters": {"scripted": {"env": {%q: %q}%s}}}`, envScript, script, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Sources{File: file}
}

var varying = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b\d+( ms| MiB)`)

// lines returns what was printed, without what differs from run to run.
func lines(printed string) []string {
	var out []string
	for line := range strings.Lines(varying.ReplaceAllString(printed, "N$1")) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return out
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := packed(t)
	for name, c := range map[string]struct {
		script, more string
		serves       bool
		want         []string // beginnings of lines
	}{
		"serves": {"ok", "", true, []string{
			"ok package scripted 1.0.0, digest N", "ok start after N ms of 10s, with SDK patchbay-go/1", "ok capabilities addMessageLog checkHealth",
			"info capabilities without findMessageLog a person must settle each call of unknown outcome", "ok health serving", "ok stop after N ms",
			"ok memory N MiB without a call; run.limits.memoryMiB is 1024", "a host would send calls to it",
		}},
		"can find":        {"find:ok", "", true, []string{"ok capabilities addMessageLog findMessageLog checkHealth"}},
		"too much memory": {"ok", `, "limits": {"memoryMiB": 16}`, true, []string{"warn memory N MiB without a call, and run.limits.memoryMiB is 16", "remedy: raise"}},
		"does not serve": {"not-serving", "", false, []string{
			"fail health not_serving: told not to serve", "remedy: The adapter says", "ok stop after N ms", "a host would send no calls to it",
		}},
		"ends at once":   {"stderr-at-start:3", "", false, []string{"fail start exit_before_handshake: ", "remedy: The adapter ended while it started", "info stderr "}},
		"panics":         {"panic-at-start", "", false, []string{"fail start panic: ", "info stderr panic: told to panic at start"}},
		"noise":          {"noise-before-handshake", "", false, []string{"fail start stdout_noise: "}},
		"other protocol": {"wrong-protocol", "", false, []string{"fail start protocol_mismatch: "}},
		"silent":         {"silent-start", `, "limits": {"startTimeout": "300ms"}`, false, []string{"fail start start_timeout: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			serves, err := Run(t.Context(), configured(t, c.script, c.more), dir, &out, &errs, false)
			if err != nil || serves != c.serves {
				t.Fatalf("Run = %v %v, printed\n%s%s", serves, err, &out, &errs)
			}
			printed := lines(out.String())
			for _, want := range c.want {
				if !slices.ContainsFunc(printed, func(line string) bool { return strings.HasPrefix(line, want) }) {
					t.Errorf("printed\n%s\nwithout %q", strings.Join(printed, "\n"), want)
				}
			}
			if c.serves && !strings.Contains(errs.String(), `msg="adapter process started" adapter=scripted`) {
				t.Errorf("the adapter's log is not shown: %s", &errs)
			}
		})
	}
}

// try runs the script with shorter waits.
func try(t *testing.T, dir string, src config.Sources) Result {
	t.Helper()
	c, _, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Trial{Dir: dir, Config: c, HealthWithin: 200 * time.Millisecond, StopWithin: 500 * time.Millisecond}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHealthThatDoesNotCome(t *testing.T) {
	t.Parallel()
	dir := packed(t)
	r := try(t, dir, configured(t, "sick-hang", ""))
	if text := fmt.Sprint(r.Findings); r.Serves || !strings.Contains(text, "hang: no answer within 200ms") {
		t.Errorf("found %s", text)
	}
	if r := try(t, dir, configured(t, "sick-panic", "")); r.Serves || !strings.Contains(fmt.Sprint(r.Findings), "not_serving: ") {
		t.Errorf("found %v", r.Findings)
	}
}

func TestUnknownVariable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "patchbay.yaml")
	if err := os.WriteFile(file, []byte(`{"adapters": {"scripted": {"env": {"TRIAL_SCRIPT": "ok", "OTHER": "x"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := try(t, packed(t), config.Sources{File: file})
	if text := fmt.Sprint(r.Findings); !r.Serves || !strings.Contains(text, "the adapter does not get OTHER") {
		t.Errorf("found %s", text)
	}
}

// TestPrivateBaseURL points the adapter at this machine.
func TestPrivateBaseURL(t *testing.T) {
	t.Parallel()
	dir := packed(t)
	const warning = "SCRIPTED_BASE_URL names 127.0.0.1, which is not on the public internet"
	for allow, warns := range map[string]bool{"[]": true, `["127.0.0.1"]`: false} {
		file := filepath.Join(t.TempDir(), "patchbay.yaml")
		text := `{"adapters": {"scripted": {"env": {"TRIAL_SCRIPT": "ok", "SCRIPTED_BASE_URL": "http://127.0.0.1:1"}, "allowPrivate": ` + allow + `}}}`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := try(t, dir, config.Sources{File: file})
		if text := fmt.Sprint(r.Findings); !r.Serves || strings.Contains(text, warning) != warns {
			t.Errorf("with allowPrivate %s found %s", allow, text)
		}
	}
}

func TestBadPackage(t *testing.T) {
	t.Parallel()
	dir := packed(t)
	if err := os.WriteFile(filepath.Join(dir, "more"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		dir: "digest_mismatch: ", filepath.Dir(dir): "not_installed: the folder has no manifest.json",
		filepath.Join(dir, "more"): "not_installed: " + filepath.Join(dir, "more") + " is a file",
	} {
		r := try(t, dir, config.Sources{})
		if r.Serves || len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].Detail, want) || r.Findings[0].Remedy == "" {
			t.Errorf("%s: found %+v, want %s", dir, r, want)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := Run(t.Context(), configured(t, "ok", ""), packed(t), &out, &out, true)
	var r Result
	text := out.String()
	if err != nil || json.Unmarshal([]byte(text[strings.Index(text, "\n{")+1:]), &r) != nil || !r.Serves || len(r.Findings) < 6 {
		t.Errorf("%v, printed %s", err, text)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := Run(ctx, configured(t, "silent-start", `, "limits": {"startTimeout": "1m"}`), packed(t), io.Discard, io.Discard, false)
	if err == nil {
		t.Error("a trial that was cut off has a result")
	}
	var faults config.Faults
	if _, err := Run(t.Context(), configured(t, "ok", `, "nonsense": 1`), "", io.Discard, io.Discard, false); !errors.As(err, &faults) {
		t.Errorf("Run = %v, want the faults of the configuration", err)
	}
}

func TestLinesOfAFailure(t *testing.T) {
	t.Parallel()
	exit := supervisor.Exit{}
	for n := range shownLines + 3 {
		exit.Stderr = append(exit.Stderr, fmt.Sprintf("line %d", n))
	}
	var r Result
	r.exit("start", supervisor.ExitBeforeHandshake, "it ended", exit)
	if n := len(r.Findings); n != shownLines+2 || r.Findings[1].Detail != "(3 lines omitted)" || r.Findings[n-1].Detail != "line 12" {
		t.Errorf("found %+v", r.Findings)
	}
}

// TestLeavesNothing tries adapters that end well and badly, and looks for what they
// left behind.
func TestLeavesNothing(t *testing.T) { // not parallel: it moves the temporary directory
	dir, temporary := packed(t), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("XDG_RUNTIME_DIR", "")
	for _, script := range []string{"ok", "panic-at-start", dieWhenAsked} {
		try(t, dir, configured(t, script, ""))
		if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
			t.Errorf("%s left %v, %v", script, left, err)
		}
	}
}

func TestDiesWhenAskedForItsHealth(t *testing.T) {
	t.Parallel()
	r := try(t, packed(t), configured(t, dieWhenAsked, ""))
	text := fmt.Sprint(r.Findings)
	if r.Serves || !strings.Contains(text, "exit: the process ended when it was asked how it is") || !strings.Contains(text, "cannot say how I am") || strings.Contains(text, "{stop") {
		t.Errorf("found %s", text)
	}
}

// TestStopsBadly has adapters that serve, and do not end as they should.
func TestStopsBadly(t *testing.T) {
	t.Parallel()
	dir := packed(t)
	for script, want := range map[string]string{
		failAtStop: "it ended with exit code 5 when it was asked to", hangAtStop: "it did not end within 500ms of being asked to, and was killed",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			r := try(t, dir, configured(t, script, ""))
			i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == "stop" })
			if !r.Serves || i < 0 || r.Findings[i].Status != doctor.Warn || r.Findings[i].Detail != want || r.Findings[i].Remedy == "" {
				t.Errorf("found %+v, want %s", r.Findings, want)
			}
		})
	}
}
