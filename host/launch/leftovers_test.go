package launch

import (
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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
	leftover := child(t)
	stray := child(t, envRunID+"=feedfacecafebeef-2")
	innocent := child(t) // has a number that an earlier process had
	bystander := child(t, envRunID+"=feedfacecafebeef-20")
	writeRecord(t, dir, "a", runRecord{Pid: leftover.Process.Pid, Start: startTime(leftover.Process.Pid), RunID: "feedfacecafebeef-1"})
	writeRecord(t, dir, "b", runRecord{Pid: innocent.Process.Pid, Start: "another boot/1", RunID: "feedfacecafebeef-2"})
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
	if err := json.Unmarshal(raw, &rec); err != nil || rec.Pid != inst.Pid() || rec.Start != startTime(inst.Pid()) || rec.RunID != inst.process.runID {
		t.Errorf("%s, %v", raw, err)
	}
	stopWithin(inst, time.Second)
	if startTime(inst.Pid()) == rec.Start {
		t.Error("the process is still there")
	}
}
