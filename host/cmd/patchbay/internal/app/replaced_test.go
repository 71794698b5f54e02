package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/launch"
	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// TestReplacedProcessesDrain replaces a build under a call: it ends in the old
// process, which is gone in the end, and new calls go to the new one. The build
// before that one may come back meanwhile.
func TestReplacedProcessesDrain(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	c := configure(t, dir, filepath.Join(t.TempDir(), "data"))
	c.MaxWait = 5 * time.Second
	r := begin(t, c)
	r.tenant("acme")
	first, firstDigest := r.served("m1"), r.digest("1.0.0")
	packEcho(t, dir, "1.0.0", "second-build", "")
	r.installed("1.0.0")
	second, secondDigest := r.served("m2"), r.digest("1.0.0")
	if second == first || secondDigest == firstDigest {
		t.Fatalf("process %s, then %s; digest %s, then %s", first, second, firstDigest, secondDigest)
	}
	states := strings.Join(r.states(), ", ")
	if !strings.Contains(states, "draining "+firstDigest) || !strings.Contains(states, "ready "+secondDigest) {
		t.Errorf("processes %s", states)
	}
	if code, out := r.ask(http.MethodPost, "/v1/adapters/echo/restart", ""); code != http.StatusNoContent {
		t.Errorf("restart: %d %v", code, out)
	}
	if third := r.served("m3"); third == second || third == first {
		t.Errorf("after the restart process %s serves", third)
	}
	pack(t, dir, fmt.Sprintf(echoManifest, runtime.GOOS, runtime.GOARCH))
	r.installed("")
	if back := r.served("m4"); back != first || r.digest("1.0.0") != firstDigest {
		t.Errorf("the first build came back as process %s, not %s", back, first)
	}
	r.until("one process is left", func() bool { states := r.states(); return len(states) == 1 && states[0] == "ready "+firstDigest })
	if r.served("m5") != first {
		t.Error("the wrong process is left")
	}
}

// lockedLog is a log that can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// TestACallKeepsItsBuild installs another build while a call waits for its next try:
// the process that has tried before does it, although it has no calls meanwhile.
func TestACallKeepsItsBuild(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	var log lockedLog
	r := beginWith(t, configure(t, dir, filepath.Join(t.TempDir(), "data")), &log)
	r.tenant("acme")
	first := r.served("m1")
	later := r.goLog("m2", "later")
	r.until("the call is put off", func() bool { return log.has("call put off") })
	packEcho(t, dir, "1.0.0", "second-build", "")
	r.installed("1.0.0")
	if second := r.served("m3"); second == first {
		t.Errorf("process %s serves after the install", second)
	}
	if a := <-later; a.code != http.StatusCreated || !strings.HasPrefix(fmt.Sprint(a.out["logId"]), first+"-") {
		t.Errorf("the call of process %s was answered %d %v", first, a.code, a.out)
	}
}

// memoryFiles counts the sealed copies of executables that this process holds.
func memoryFiles(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.Contains(target, "patchbay-adapter") {
			n++
		}
	}
	return n
}

// TestReplacedBuildsLeaveNothing has one process and one copy of its executable in
// the end.
func TestReplacedBuildsLeaveNothing(t *testing.T) { // not parallel: it counts files of this process
	dir := packages(t)
	c := configure(t, dir, filepath.Join(t.TempDir(), "data"))
	c.MaxWait = 5 * time.Second
	before := memoryFiles(t)
	r := begin(t, c)
	r.tenant("acme")
	r.served("m0")
	for n := range 2 {
		packEcho(t, dir, "1.0.0", "build", strings.Repeat("x", n+1))
		r.installed("1.0.0")
		r.served(fmt.Sprint("m", n+1))
	}
	// Of the same executable, which must stay.
	packEcho(t, dir, "1.0.0", "other-arguments", "xx")
	r.installed("1.0.0")
	r.until("one process is left", func() bool { return len(r.states()) == 1 })
	if n := memoryFiles(t) - before; n != 1 {
		t.Errorf("%d sealed copies of executables, want 1", n)
	}
	if code, out := r.ask(http.MethodPost, "/v1/adapters/echo/restart", ""); code != http.StatusNoContent {
		t.Errorf("restart: %d %v", code, out)
	}
	r.served("m9")
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// TestManyInstalls installs one build after the other, as an author does, within the
// time for which old processes are kept: of these there are a few, the newest.
func TestManyInstalls(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	var log bytes.Buffer
	r := beginWith(t, configure(t, dir, filepath.Join(t.TempDir(), "data")), &log)
	r.tenant("acme")
	r.served("m0")
	builds := []string{r.digest("1.0.0")}
	var want []string
	for n := range maxReplaced + 2 {
		packEcho(t, dir, "1.0.0", fmt.Sprint("build-", n), "")
		r.installed("1.0.0")
		r.served(fmt.Sprint("m", n+1))
		builds = append(builds, r.digest("1.0.0"))
		want = append(want, "package installed "+builds[n+1])
		if n >= maxReplaced {
			want = append(want, "retired "+builds[n-maxReplaced])
		}
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`adapter (retired|package installed).* digest=(\w+)`).FindAllStringSubmatch(log.String(), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestHowLongProcessesAreKept has those of replaced packages go although something
// asked for them a moment ago: whatever may, was checked before the change.
func TestHowLongProcessesAreKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const maxWait = 30 * time.Second
	for name, c := range map[string]struct {
		asked, replaced time.Duration // ago; replaced is 0 when it is not
		left            time.Duration
	}{
		"installed, asked for now":     {0, 0, idleAfter},
		"installed, not asked for":     {2 * idleAfter, 0, -idleAfter},
		"replaced a moment ago":        {2 * idleAfter, time.Second, maxWait},
		"replaced, asked for now":      {0, 20 * time.Second, 11 * time.Second},
		"replaced long ago, asked for": {0, maxWait + 2*time.Second, -time.Second},
	} {
		u := &use{}
		u.last.Store(now.Add(-c.asked).UnixNano())
		if c.replaced > 0 {
			u.replaced = now.Add(-c.replaced)
		}
		if got := u.left(now, maxWait); (got - c.left).Abs() > time.Millisecond {
			t.Errorf("%s: it is kept for %s, want %s", name, got, c.left)
		}
	}
}

// TestGivingUpSparesWhatDrains gives up the install of a package that was installed
// before: its process may still be needed by calls of that time, another's not.
func TestGivingUpSparesWhatDrains(t *testing.T) {
	t.Parallel()
	draining, started := &catalog.Package{Name: "echo", Version: "1.0.0", Digest: "a"}, &catalog.Package{Name: "echo", Version: "1.0.0", Digest: "b"}
	fleet, err := supervisor.NewFleet[*instance](supervisor.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	launcher, err := launch.New(launch.Config{RunDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := newProcesses(&parts{fleet: fleet, launcher: launcher}, nil, time.Minute, slog.New(slog.DiscardHandler))
	replaced := time.Now().Add(-time.Second)
	p.used[keyOf(draining)], p.used[keyOf(started)] = &use{replaced: replaced}, &use{}
	p.giveUp([]*catalog.Package{draining, started})
	if u := p.used[keyOf(draining)]; u == nil || u.replaced != replaced {
		t.Errorf("the process that drains: %+v", u)
	}
	if p.used[keyOf(started)] != nil {
		t.Error("the process of the package that was not installed is kept")
	}
}

// TestInstallBesideADrainingBuild replaces a build that came to serve no more, while
// the one before it drains and serves: that is not the one to be replaced, so the new
// one needs to be no better.
func TestInstallBesideADrainingBuild(t *testing.T) {
	t.Parallel()
	dir := packages(t)
	r := begin(t, configure(t, dir, filepath.Join(t.TempDir(), "data")))
	r.tenant("acme")
	r.served("m1")
	firstDigest := r.digest("1.0.0")
	switchOff := filepath.Join(t.TempDir(), "off")
	packEcho(t, dir, "1.0.0", exitWhile+switchOff, "")
	r.installed("1.0.0")
	secondDigest := r.digest("1.0.0")
	if err := os.WriteFile(switchOff, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := r.log("acme", "m2", "die"); code < http.StatusInternalServerError {
		t.Fatalf("a call in which the process died: %d %v", code, out)
	}
	r.until("the second build is down", func() bool { return !slices.Contains(r.states(), "ready "+secondDigest) })
	if states := r.states(); !slices.Contains(states, "draining "+firstDigest) {
		t.Fatalf("processes %v", states)
	}
	packEcho(t, dir, "1.0.0", exitAtStart, "")
	r.installed("1.0.0")
}
