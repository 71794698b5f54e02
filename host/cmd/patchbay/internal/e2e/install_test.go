package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// workshop makes builds of recorder, all of one version, in an adapters folder of
// its own. The builds differ in the bytes of the program and in the default of a
// field, which the host fills in by the manifest against which it checks a call.
type workshop struct{ dir, records string }

func newWorkshop(t *testing.T) workshop {
	t.Helper()
	return workshop{filepath.Join(t.TempDir(), "adapters"), filepath.Join(t.TempDir(), "records.jsonl")}
}

func (w workshop) setup() setup {
	return setup{dirs: []string{w.dir}, maxWait: "10s", adapters: map[string]object{"recorder": {
		"env":    object{envScript: "ok", sdktest.EnvRecord: w.records, "RECORDER_BASE_URL": "http://127.0.0.1:9"},
		"limits": object{"callTimeout": "20s"},
	}}}
}

// build puts a build in the place of the one before.
func (w workshop) build(t *testing.T, name string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/recorder.json")
	must(t, err)
	const fields = `"additionalFields": [`
	text := strings.Replace(string(raw), fields,
		fields+fmt.Sprintf(`{"const": "build", "title": "Build", "type": "inputField", "defaultValue": %q},`, name), 1)
	manifest, program := filepath.Join(t.TempDir(), "recorder.json"), filepath.Join(t.TempDir(), "recorder")
	must(t, os.WriteFile(manifest, []byte(text), 0o600))
	self, err := os.Executable()
	must(t, err)
	content, err := os.ReadFile(self)
	must(t, err)
	must(t, os.WriteFile(program, append(content, name...), 0o700)) // a program minds nothing behind its end
	_, err = catalog.Pack(t.Context(), catalog.PackInput{
		Out: w.dir, Manifest: manifest, Executables: map[string]string{runtime.GOOS + "/" + runtime.GOARCH: program},
	})
	must(t, err)
}

// served returns which process did the call with that request id, and the build of
// the manifest against which the call was checked.
func (w workshop) served(t *testing.T, id string) (pid int, build string) {
	t.Helper()
	for _, r := range sdktest.ReadRecords(t, w.records) {
		if r.RequestID == id {
			return r.PID, r.AdditionalSubmission["build"].String()
		}
	}
	t.Fatalf("the call %s did not arrive", id)
	return 0, ""
}

// logNew logs the message with that id, of a contact of its own, under a request id.
func (h *host) logNew(id int) (requestID string, r reply) {
	requestID = fmt.Sprintf("call-%d", id)
	text := body(fields{"contactInfo": fmt.Sprintf(`{"id":%d}`, id)}, message(id))
	return requestID, h.send(request{Path: path("acme", "recorder"), Body: text, Header: http.Header{
		"Content-Type": {"application/json"}, "X-Request-Id": {requestID},
	}})
}

// runs reports whether the process runs the program of that build.
func runs(t *testing.T, pid int, build string) bool {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
	must(t, err)
	defer f.Close()
	_, err = f.Seek(-int64(len(build)), io.SeekEnd)
	must(t, err)
	tail, err := io.ReadAll(f)
	must(t, err)
	return string(tail) == build
}

// crowd are callers that call without end until they are stopped.
type crowd struct {
	h     *host
	next  atomic.Int64
	done  atomic.Int64
	stop  chan struct{}
	group sync.WaitGroup

	mu  sync.Mutex
	odd []string // what was not logged
}

func (h *host) startCrowd(n int) *crowd {
	c := &crowd{h: h, stop: make(chan struct{})}
	c.next.Store(1000)
	for range n {
		c.group.Go(c.call)
	}
	return c
}

func (c *crowd) call() {
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		message := int(c.next.Add(1))
		_, r := c.h.logNew(message)
		c.mu.Lock()
		if r.err != nil || r.status != http.StatusCreated {
			c.odd = append(c.odd, fmt.Sprintf("message %d: %d %s %v", message, r.status, r.body, r.err))
		}
		c.mu.Unlock()
		c.done.Add(1)
	}
}

// more waits until n more calls were answered.
func (c *crowd) more(t *testing.T, n int64) {
	t.Helper()
	end := c.done.Load() + n
	eventually(t, fmt.Sprintf("%d more calls are answered", n), func() bool { return c.done.Load() >= end })
}

// installAll has several admins install recorder at once, and returns the digest that
// all of them are shown.
func (h *host) installAll(t *testing.T) (digest string) {
	t.Helper()
	answers := make([]reply, 3)
	var admins sync.WaitGroup
	for i := range answers {
		admins.Go(func() {
			answers[i] = h.send(request{Path: "/v1/adapters/recorder/install", Body: `{"version":"1.0.0"}`})
		})
	}
	admins.Wait()
	for _, r := range answers {
		var shown struct {
			Versions []struct{ Version, Digest string }
		}
		r.into(t, http.StatusOK, &shown)
		if len(shown.Versions) != 1 || (digest != "" && shown.Versions[0].Digest != digest) {
			t.Fatalf("shown %+v, others were shown %s", shown, digest)
		}
		digest = shown.Versions[0].Digest
	}
	return digest
}

// TestInstallUnderLoad replaces a package under its version, again and again, while
// 32 callers call. A new build serves from its install on and not before; no call
// fails; and no call is checked against the manifest of one build and sent by
// another.
func TestInstallUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.build(t, "build one")
	h := startHost(t, w.setup())
	h.tenant(t, "acme", "recorder")
	pids := map[string]int{"build one": h.pid(t, "recorder")}
	c := h.startCrowd(32)
	c.more(t, 100)
	message, before := 0, "build one"
	for _, build := range []string{"build two", "build three"} {
		w.build(t, build)
		c.more(t, 100)
		message++
		id, r := h.logNew(message)
		r.logged(t, http.StatusCreated)
		if pid, checked := w.served(t, id); pid != pids[before] || checked != before {
			t.Errorf("before the install of %s process %d serves by the manifest of %s", build, pid, checked)
		}
		digest := h.installAll(t)
		message++
		id, r = h.logNew(message)
		r.logged(t, http.StatusCreated)
		pid, checked := w.served(t, id)
		if pids[build] = pid; pid == pids[before] || checked != build || !runs(t, pid, build) {
			t.Errorf("after the install of %s (%s) process %d serves by the manifest of %s", build, digest, pid, checked)
		}
		c.more(t, 100)
		before = build
	}
	close(c.stop)
	c.group.Wait()
	if len(c.odd) > 0 {
		t.Errorf("%d of %d calls failed: %s", len(c.odd), c.done.Load(), strings.Join(c.odd[:min(len(c.odd), 5)], "\n"))
	}
	calls := 0
	for _, r := range sdktest.ReadRecords(t, w.records) {
		if build := r.AdditionalSubmission["build"].String(); r.PID != pids[build] {
			t.Errorf("%s was checked against %s and sent by process %d; processes %v", r.RequestID, build, r.PID, pids)
		}
		calls++
	}
	entries := h.entries(t, "acme", "state=logged")
	if want := int(c.done.Load()) + message; calls != want || len(entries) != want {
		t.Errorf("%d calls, %d arrived, %d entries", want, calls, len(entries))
	}
	for _, build := range []string{"build one", "build two"} {
		eventually(t, "the process of "+build+" is gone", func() bool { return !alive(pids[build]) })
	}
	if crashes := h.crashes(t, "recorder"); len(crashes) > 0 {
		t.Errorf("crashes %+v", crashes)
	}
}

var commandInRemedy = regexp.MustCompile(`patchbay adapter install [\w-]+ --version [\w.-]+`)

// TestBuildReplacedBeforeAStart replaces a package while no host runs. The next start
// refuses it and names a command. Typed as it stands, that takes the build for good.
func TestBuildReplacedBeforeAStart(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.build(t, "build one")
	s := w.setup()
	h := startHost(t, s)
	h.tenant(t, "acme", "recorder")
	_, r := h.logNew(1)
	r.logged(t, http.StatusCreated)
	must(t, h.stop())
	w.build(t, "build two")

	s.data = h.data
	h = startHost(t, s)
	_, r = h.logNew(2)
	said := r.refused(t, http.StatusNotFound, "adapter_not_found").Detail
	var shown struct {
		Versions []any
		Problems []struct{ Version, Cause, Remedy string }
	}
	h.send(request{Path: "/v1/adapters/recorder"}).into(t, http.StatusOK, &shown)
	if len(shown.Versions) != 0 || len(shown.Problems) != 1 || shown.Problems[0].Cause != catalog.CauseDigestMismatch {
		t.Fatalf("the host shows %+v", shown)
	}
	words := strings.Fields(commandInRemedy.FindString(shown.Problems[0].Remedy))
	if len(words) == 0 || !strings.Contains(said, strings.Join(words, " ")) {
		t.Fatalf("the remedy is %q, the caller was told %q", shown.Problems[0].Remedy, said)
	}
	cmd := exec.CommandContext(context.Background(), command(t), words[1:]...)
	cmd.Env = append(os.Environ(), "PATCHBAY_SERVER="+h.url, "PATCHBAY_TOKEN="+h.admin)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("recorder 1.0.0 installed\n")) {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
	for _, message := range []int{2, 3} {
		id, r := h.logNew(message)
		r.logged(t, http.StatusCreated)
		if pid, checked := w.served(t, id); checked != "build two" || !runs(t, pid, "build two") {
			t.Errorf("process %d serves by the manifest of %s", pid, checked)
		}
		must(t, h.stop())
		h = startHost(t, s) // the install lasts
	}
}

// TestInstallThatIsRefusedChangesNothing has a package damaged, and one that is gone.
func TestInstallThatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.build(t, "build one")
	h := startHost(t, w.setup())
	h.tenant(t, "acme", "recorder")
	pid := h.pid(t, "recorder")
	folder := filepath.Join(w.dir, "recorder", "1.0.0")
	must(t, os.WriteFile(filepath.Join(folder, "more.txt"), nil, 0o600))
	p := h.send(request{Path: "/v1/adapters/recorder/install", Body: `{}`}).refused(t, http.StatusConflict, "conflict")
	if len(p.Errors) != 1 || p.Errors[0].Pointer != "1.0.0" || p.Errors[0].Code != catalog.CauseDigestMismatch || !strings.Contains(p.Errors[0].Detail, "more.txt is not listed") {
		t.Errorf("problem %+v", p)
	}
	must(t, os.RemoveAll(folder))
	for _, text := range []string{`{}`, `{"version":"1.0.0"}`, `{"version":"2.0.0"}`} {
		h.send(request{Path: "/v1/adapters/recorder/install", Body: text}).refused(t, http.StatusNotFound, "adapter_not_found")
	}
	_, r := h.logNew(1)
	r.logged(t, http.StatusCreated)
	if now := h.pid(t, "recorder"); now != pid {
		t.Errorf("process %d became %d", pid, now)
	}
}
