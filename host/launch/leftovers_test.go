package launch

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child starts a process that the package knows nothing of. It is reaped as soon
// as it ends, as a leftover is by init.
func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { cmd.Wait(); close(over) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-over })
	return cmd
}

func writeRecord(t *testing.T, dir, name string, rec runRecord) {
	t.Helper()
	raw, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+recordSuffix), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLeftoversAreKilledInnocentsAreNot(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil))
	run := rand.Text() // such marks are seen by every test of the machine
	leftover := child(t)
	stray := child(t, envRunID+"="+run+"-2")
	innocent := child(t) // has a number that an earlier process had
	bystander := child(t, envRunID+"="+run+"-20")
	writeRecord(t, dir, "a", runRecord{Pid: leftover.Process.Pid, Start: startTime(leftover.Process.Pid), RunID: run + "-1"})
	writeRecord(t, dir, "b", runRecord{Pid: innocent.Process.Pid, Start: "another boot/1", RunID: run + "-2"})
	for i, rec := range []runRecord{
		{},
		{Pid: -1},
		{Pid: 1, Start: startTime(1)},
		{Pid: 0, Start: "x"},
		{Pid: -innocent.Process.Pid, Start: startTime(innocent.Process.Pid)},
		{Pid: os.Getpid(), RunID: ""},
		{Sockets: "relative/patchbay-x"},
	} {
		writeRecord(t, dir, string(rune('c'+i)), rec)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut"+recordSuffix), []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	killed, err := ReapLeftovers(dir, log)
	if err != nil || killed != 2 {
		t.Errorf("killed %d: %v", killed, err)
	}
	if alive(leftover.Process.Pid) || alive(stray.Process.Pid) {
		t.Error("a leftover lives on")
	}
	if !alive(innocent.Process.Pid) || !alive(bystander.Process.Pid) {
		t.Error("an innocent process was killed")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "README" {
		t.Errorf("left: %v", left)
	}
}

// TestLivingHostsAdaptersAreSpared finds the records of another host, as in a
// copy of its data, first while it lives and then after its end.
func TestLivingHostsAdaptersAreSpared(t *testing.T) {
	t.Parallel()
	dir, parent := t.TempDir(), t.TempDir()
	var logged records
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	run := rand.Text()
	owner := child(t)
	served := child(t, envRunID+"="+run+"-1")
	fork := child(t, envRunID+"="+run+"-1") // known by its mark alone
	unlike := child(t)                      // its owner's number is another process' now
	ours := child(t)
	sockets := filepath.Join(parent, socketDirPrefix+"1")
	if err := os.Mkdir(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	of := func(host *exec.Cmd) runRecord {
		return runRecord{HostPid: host.Process.Pid, HostStart: startTime(host.Process.Pid)}
	}
	adapterOf := func(rec runRecord, adapter *exec.Cmd, runID string) runRecord {
		rec.Pid, rec.Start, rec.RunID = adapter.Process.Pid, startTime(adapter.Process.Pid), runID
		return rec
	}
	living := of(owner)
	host := living
	host.Sockets = sockets
	writeRecord(t, dir, "host", host)
	writeRecord(t, dir, "served", adapterOf(living, served, run+"-1"))
	writeRecord(t, dir, "unlike", adapterOf(runRecord{HostPid: owner.Process.Pid, HostStart: "another boot/1"}, unlike, run+"-2"))
	writeRecord(t, dir, "ours", adapterOf(runRecord{HostPid: os.Getpid(), HostStart: startTime(os.Getpid())}, ours, run+"-3"))

	if killed, err := ReapLeftovers(dir, log); err != nil || killed != 2 {
		t.Errorf("killed %d: %v", killed, err)
	}
	if alive(unlike.Process.Pid) || alive(ours.Process.Pid) {
		t.Error("a leftover lives on")
	}
	for name, cmd := range map[string]*exec.Cmd{"host": owner, "adapter": served, "descendant": fork} {
		if !alive(cmd.Process.Pid) {
			t.Errorf("the living host's %s was killed", name)
		}
	}
	if _, err := os.Stat(sockets); err != nil {
		t.Errorf("its sockets: %v", err)
	}
	if n := strings.Count(strings.Join(logged.all(), ""), "run record of a living host spared"); n != 2 {
		t.Errorf("%d records told of as spared", n)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, "the owner", owner.Process.Pid)
	if killed, err := ReapLeftovers(dir, log); err != nil || killed != 2 {
		t.Errorf("after the end of their host, killed %d: %v", killed, err)
	}
	if _, err := os.Stat(sockets); err == nil {
		t.Error("its sockets are still there")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestSocketsOfAnEarlierLife(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	ours, foreign, open := filepath.Join(parent, socketDirPrefix+"1"), filepath.Join(parent, "precious"), filepath.Join(parent, socketDirPrefix+"2")
	for dir, mode := range map[string]os.FileMode{ours: 0o700, foreign: 0o700, open: 0o755} {
		if err := os.MkdirAll(filepath.Join(dir, "plugin-dir1"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(parent, socketDirPrefix+"3")
	if err := os.Symlink(foreign, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{ours, foreign, open, link, filepath.Join(parent, socketDirPrefix+"absent"), ""} {
		if err := removeSockets(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for dir, stays := range map[string]bool{ours: false, foreign: true, open: true, link: true} {
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestNoRunDirectoryNoLeftovers(t *testing.T) {
	t.Parallel()
	if n, err := ReapLeftovers(filepath.Join(t.TempDir(), "absent"), slog.Default()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestRecordStandsWhileTheProcessRuns shows that the next host would find it.
func TestRecordStandsWhileTheProcessRuns(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	inst := start(t, l, adapter("ok"))
	raw, err := os.ReadFile(filepath.Join(l.cfg.RunDir, inst.process.runID+recordSuffix))
	if err != nil {
		t.Fatal(err)
	}
	var rec runRecord
	if err := json.Unmarshal(raw, &rec); err != nil || rec.Pid != inst.Pid() || rec.Start != startTime(inst.Pid()) || rec.RunID != inst.process.runID ||
		rec.HostPid != os.Getpid() || rec.HostStart != startTime(os.Getpid()) {
		t.Errorf("%s, %v", raw, err)
	}
	stopWithin(inst, time.Second)
	if startTime(inst.Pid()) == rec.Start {
		t.Error("the process is still there")
	}
}
