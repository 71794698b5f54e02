package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asMain makes the test binary the command itself.
const asMain = "PATCHBAY_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	heed()
	goleak.VerifyTestMain(m)
}

// heed undoes what nohup and shells do to background commands: a signal that is
// ignored here would be ignored by the hosts that the tests start. One that is
// caught is not passed on.
func heed() {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// command returns the command with a data directory of its own.
func command(t *testing.T, data string, args ...string) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), executable, args...)
	cmd.Env = []string{
		asMain + "=1", "PATH=" + os.Getenv("PATH"), "PATCHBAY_DATA_DIR=" + data, "PATCHBAY_ADAPTERS_DIRS=" + t.TempDir(),
		"PATCHBAY_LISTEN=127.0.0.1:0", "PATCHBAY_LOG_FORMAT=json",
	}
	return cmd
}

// served is a host that runs as a process.
type served struct {
	cmd  *exec.Cmd
	data string
	out  io.Closer
	url  string
	log  *bufio.Scanner
	logs bytes.Buffer // what was read so far
}

func serveProcess(t *testing.T, data string) *served {
	t.Helper()
	return serveBy(t, data, func(*exec.Cmd) {})
}

// serveBy starts a host by a command that was changed.
func serveBy(t *testing.T, data string, change func(*exec.Cmd)) *served {
	t.Helper()
	cmd := command(t, data, "serve")
	change(cmd)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &served{cmd: cmd, data: data, out: out, log: bufio.NewScanner(out)}
	record := s.until(t, "host started")
	s.url = "http://" + record["address"].(string)
	return s
}

// until reads the log to a record with that message.
func (s *served) until(t *testing.T, message string) map[string]any {
	t.Helper()
	for s.log.Scan() {
		s.logs.Write(append(s.log.Bytes(), '\n'))
		var record map[string]any
		if err := json.Unmarshal(s.log.Bytes(), &record); err != nil {
			t.Fatalf("the log holds no JSON: %s", s.log.Text())
		}
		if record["msg"] == message {
			return record
		}
	}
	t.Fatalf("no %q in the log:\n%s", message, s.logs.String())
	return nil
}

// wait returns how the process ended.
func (s *served) wait(t *testing.T) *os.ProcessState {
	t.Helper()
	for s.log.Scan() {
		s.logs.Write(append(s.log.Bytes(), '\n'))
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return s.cmd.ProcessState
}

func TestServeAndItsCommands(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := serveProcess(t, data)
	run := func(args ...string) (string, error) {
		out, err := command(t, data, append(args, "--server", s.url)...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("tenant", "create", "acme"); err != nil || !strings.Contains(out, "tenant acme created") {
		t.Errorf("create: %v: %s", err, out)
	}
	if out, err := run("tenant", "list", "--json"); err != nil || !strings.Contains(out, `"id": "acme"`) {
		t.Errorf("list: %v: %s", err, out)
	}
	if out, err := run("adapter", "enable", "nothing", "--tenant", "acme"); err == nil || !strings.Contains(out, "adapter_not_found") {
		t.Errorf("enable: %v: %s", err, out)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "admin.token": 0o600, "keyset.json": 0o600, "patchbay.db": 0o600} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v: %v", name, info.Mode().Perm(), want, err)
		}
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, data, "doctor", "--listen", strings.TrimPrefix(s.url, "http://")).CombinedOutput(); err != nil ||
		!strings.Contains(string(out), "the host answers at "+s.url) {
		t.Errorf("doctor: %v: %s", err, out)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if state := s.wait(t); state.ExitCode() != 0 {
		t.Errorf("it ended with %v:\n%s", state, s.logs.String())
	}
	if !strings.Contains(s.logs.String(), "host stopped") || strings.Contains(s.logs.String(), strings.TrimSpace(string(token))) {
		t.Errorf("the log lacks its end or holds the admin token:\n%s", s.logs.String())
	}
}

func TestAHangUpEndsInOrder(t *testing.T) {
	t.Parallel()
	s := serveProcess(t, filepath.Join(t.TempDir(), "data"))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if state := s.wait(t); state.ExitCode() != 0 || !strings.Contains(s.logs.String(), "host stopped") {
		t.Errorf("it ended with %v:\n%s", state, s.logs.String())
	}
}

// TestAHangUpThatIsIgnored runs the host as nohup does.
func TestAHangUpThatIsIgnored(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := serveBy(t, data, func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	})
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, data, "tenant", "create", "one", "--server", s.url).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if state := s.wait(t); state.ExitCode() != 0 {
		t.Errorf("it ended with %v:\n%s", state, s.logs.String())
	}
}

// TestASecondSignalEndsAtOnce holds a connection open with half a request, so
// that the host would drain for its whole drainTimeout.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := serveProcess(t, filepath.Join(t.TempDir(), "data"))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	token, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "PUT /v1/tenants/acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+strings.TrimSpace(string(token))+
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("the host does not read the body: %q, %v", line, err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.until(t, "HTTP edge draining")
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	state := s.wait(t)
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGINT || time.Since(began) > 5*time.Second {
		t.Errorf("it ended with %v after %s", state, time.Since(began))
	}
}

func TestAHostOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := serveProcess(t, data)
	if err := s.out.Close(); err != nil {
		t.Fatal(err)
	}
	// It serves on, and at its end it writes to what nobody reads.
	for _, tenant := range []string{"one", "two", "three"} {
		if out, err := command(t, data, "tenant", "create", tenant, "--server", s.url).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, err := command(t, t.TempDir(), "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "patchbay dev ") || !strings.Contains(string(out), runtime.GOOS+"/"+runtime.GOARCH) {
		t.Errorf("%v: %s", err, out)
	}
}
