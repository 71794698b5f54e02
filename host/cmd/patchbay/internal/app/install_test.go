package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// packEcho packs another build of the test binary into the adapters folder. build is
// an argument of the program, and tail, which no program minds, is put at its end:
// either makes it another build.
func packEcho(t *testing.T, out, version, build, tail string) {
	t.Helper()
	text := strings.NewReplacer(`"version": "1.0.0"`, fmt.Sprintf(`"version": %q`, version), `["serve-as-adapter"]`,
		fmt.Sprintf(`["serve-as-adapter", %q]`, build)).Replace(fmt.Sprintf(echoManifest, runtime.GOOS, runtime.GOARCH))
	if tail == "" {
		pack(t, out, text)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	file, executable := filepath.Join(t.TempDir(), "echo.json"), filepath.Join(t.TempDir(), "echo")
	if err := errors.Join(os.WriteFile(executable, append(raw, tail...), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Pack(t.Context(), catalog.PackInput{
		Out: out, Manifest: file, Executables: map[string]string{runtime.GOOS + "/" + runtime.GOARCH: executable},
	}); err != nil {
		t.Fatal(err)
	}
}

// install installs the adapter, one version or all.
func (r *running) install(version string) (int, map[string]any) {
	r.t.Helper()
	body := `{}`
	if version != "" {
		body = fmt.Sprintf(`{"version":%q}`, version)
	}
	return r.ask(http.MethodPost, "/v1/adapters/echo/install", body)
}

// installed installs the adapter and demands that it works.
func (r *running) installed(version string) {
	r.t.Helper()
	if code, out := r.install(version); code != http.StatusOK || out["name"] != "echo" {
		r.t.Fatalf("install: %d %v", code, out)
	}
}

// served logs a message and returns the process that did it.
func (r *running) served(message string) (pid string) {
	r.t.Helper()
	code, out := r.log("acme", message, "")
	if code != http.StatusCreated {
		r.t.Fatalf("%s: %d %v", message, code, out)
	}
	text, _ := out["logId"].(string)
	pid, _, _ = strings.Cut(text, "-")
	return pid
}

// answer is what came of a call.
type answer struct {
	code int
	out  map[string]any
}

// goLog logs a message in a goroutine.
func (r *running) goLog(message, contact string) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		code, out := r.log("acme", message, contact)
		done <- answer{code, out}
	}()
	return done
}

// until waits until done reports true.
func (r *running) until(what string, done func() bool) {
	r.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-look.C {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// states returns the adapter's processes, as "state digest".
func (r *running) states() []string {
	r.t.Helper()
	_, out := r.ask(http.MethodGet, "/v1/adapters/echo", "")
	var states []string
	processes, _ := out["processes"].([]any)
	for _, p := range processes {
		process := p.(map[string]any)
		states = append(states, fmt.Sprint(process["state"], " ", process["digest"]))
	}
	return states
}

// digest returns the digest of the installed version.
func (r *running) digest(version string) string {
	r.t.Helper()
	_, out := r.ask(http.MethodGet, "/v1/adapters/echo", "")
	versions, _ := out["versions"].([]any)
	for _, v := range versions {
		if v.(map[string]any)["version"] == version {
			return v.(map[string]any)["digest"].(string)
		}
	}
	return ""
}

func TestInstallOfANewVersion(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	r := begin(t, configure(t, dir, filepath.Join(t.TempDir(), "data")))
	r.tenant("acme")
	before := r.served("m1")
	packEcho(t, dir, "1.1.0", "next", "")
	const enable = "/v1/tenants/acme/adapters/echo"
	if code, out := r.ask(http.MethodPatch, enable, `{"version":"1.1.0"}`); code != http.StatusUnprocessableEntity {
		t.Fatalf("before the install: %d %v", code, out)
	}
	r.installed("")
	if again := r.served("m2"); again != before {
		t.Errorf("the install of another version changed the process %s to %s", before, again)
	}
	if code, out := r.ask(http.MethodPatch, enable, `{"version":"1.1.0"}`); code != http.StatusOK {
		t.Fatalf("after the install: %d %v", code, out)
	}
	if after := r.served("m3"); after == before {
		t.Error("the new version does not serve")
	}
}

// TestInstallOfABuildThatDoesNotServe has a good process, and builds that would not
// take its place well: nothing changes.
func TestInstallOfABuildThatDoesNotServe(t *testing.T) {
	t.Parallel()
	for build, cause := range map[string]string{exitAtStart: "exit_before_handshake", notServing: "not_serving"} {
		t.Run(build, func(t *testing.T) {
			t.Parallel()
			dir := packages(t)
			c := configure(t, dir, filepath.Join(t.TempDir(), "data"))
			r := begin(t, c)
			r.tenant("acme")
			before, digest := r.served("m1"), r.digest("1.0.0")
			packEcho(t, dir, "1.0.0", build, "")
			code, out := r.install("1.0.0")
			if detail := fmt.Sprint(out["detail"]); code != http.StatusConflict || !strings.Contains(detail, cause) || !strings.Contains(detail, "nothing was changed") {
				t.Errorf("install: %d %v", code, out)
			}
			faults, _ := out["errors"].([]any)
			if len(faults) != 1 || faults[0].(map[string]any)["code"] != cause || faults[0].(map[string]any)["pointer"] != "1.0.0" {
				t.Errorf("errors %v", faults)
			}
			if again := r.served("m2"); again != before || r.digest("1.0.0") != digest {
				t.Errorf("process %s became %s, digest %s became %s", before, again, digest, r.digest("1.0.0"))
			}
			r.until("one process is left", func() bool { return len(r.states()) == 1 })
			if err := r.end(); err != nil {
				t.Error(err)
			}
			r = begin(t, c)
			if code, out := r.log("acme", "m3", ""); code != http.StatusNotFound || !strings.Contains(fmt.Sprint(out["detail"]), "patchbay adapter install echo --version 1.0.0") {
				t.Errorf("a build that was never installed, after a start: %d %v", code, out)
			}
		})
	}
}

// TestInstallMendsWhatDoesNotServe replaces a build that never served.
func TestInstallMendsWhatDoesNotServe(t *testing.T) {
	t.Parallel()
	for _, build := range []string{exitAtStart, notServing} {
		t.Run(build, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "adapters")
			packEcho(t, dir, "1.0.0", build, "")
			r := begin(t, configure(t, dir, filepath.Join(t.TempDir(), "data")))
			r.tenant("acme")
			r.until("it is known that it does not serve", func() bool {
				_, out := r.ask(http.MethodGet, "/v1/adapters/echo", "")
				processes, _ := out["processes"].([]any)
				return len(processes) == 1 && fmt.Sprint(processes[0].(map[string]any)["cause"]) != "<nil>"
			})
			if code, out := r.log("acme", "m1", ""); code != http.StatusServiceUnavailable {
				t.Fatalf("at first: %d %v", code, out)
			}
			packEcho(t, dir, "1.0.0", "good", "")
			r.installed("1.0.0")
			r.served("m1")
		})
	}
}

func TestInstallOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	r := begin(t, configure(t, dir, filepath.Join(t.TempDir(), "data")))
	r.tenant("acme")
	before := r.served("m1")
	if code, out := r.install("9.9.9"); code != http.StatusNotFound || out["code"] != "adapter_not_found" {
		t.Errorf("a version that is not there: %d %v", code, out)
	}
	if code, out := r.ask(http.MethodPost, "/v1/adapters/nothing/install", ""); code != http.StatusNotFound || out["code"] != "adapter_not_found" {
		t.Errorf("an adapter that is not there: %d %v", code, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "echo", "1.0.0", "more"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := r.install(""); code != http.StatusConflict || len(out["errors"].([]any)) != 1 {
		t.Errorf("a package with a file too many: %d %v", code, out)
	}
	if again := r.served("m2"); again != before {
		t.Errorf("the process %s became %s", before, again)
	}
}

// TestInstallForgetsAVersion removes the version that a tenant uses: its calls in
// flight end, later ones are refused.
func TestInstallForgetsAVersion(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	packEcho(t, dir, "0.9.0", "old", "")
	c := configure(t, dir, filepath.Join(t.TempDir(), "data"))
	c.MaxWait = 5 * time.Second
	r := begin(t, c)
	r.tenant("acme")
	pid := r.served("m1")
	slow := r.goLog("m2", "slow")
	r.until("the call is in flight", func() bool {
		_, out := r.ask(http.MethodGet, "/v1/adapters/echo", "")
		return out["processes"].([]any)[0].(map[string]any)["inFlight"].(float64) == 1
	})
	if err := os.RemoveAll(filepath.Join(dir, "echo", "1.0.0")); err != nil {
		t.Fatal(err)
	}
	r.installed("")
	if code, out := r.log("acme", "m3", ""); code != http.StatusNotFound || out["code"] != "adapter_not_found" {
		t.Errorf("a later call: %d %v", code, out)
	}
	if a := <-slow; a.code != http.StatusCreated || !strings.HasPrefix(fmt.Sprint(a.out["logId"]), pid+"-") {
		t.Errorf("the call in flight: %d %v", a.code, a.out)
	}
	r.until("the process is gone", func() bool { return len(r.states()) == 0 })
}

// TestInstallsTakeTurns has an install under way, so that another one must wait: it
// could otherwise put an older look at the folders over a newer one.
func TestInstallsTakeTurns(t *testing.T) {
	t.Parallel()
	i := newInstaller(&parts{}) // whoever gets past its turn finds nothing to work with
	i.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Install(ctx, "echo", ""); fault.CodeOf(err) != fault.Overloaded || fault.ClassOf(err) != fault.Retryable {
		t.Errorf("got %v", err)
	}
}
