package faulty

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk/serve"
)

// envPlay makes the test binary a process that plays one script and says how it
// went, as a line of JSON on file descriptor 3.
const envPlay = "FAULTY_TEST_PLAY"

func TestMain(m *testing.M) {
	if _, isChild := os.LookupEnv(envStart); isChild {
		Start()
		if script, plays := os.LookupEnv(envPlay); plays {
			play(script)
			return
		}
		serve.Adapter(New()) // as main does
		return
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the SDK logs the stack of a panic
	goleak.VerifyTestMain(m)
}

// played is what a process says about a script that returned.
type played struct {
	LogID, Error string
	Records      int
}

func play(script string) {
	a := New()
	var p played
	resp, err := a.AddMessageLog(context.Background(), told(script))
	if err != nil {
		p.Error = err.Error()
	} else {
		p.LogID = resp.LogID
	}
	p.Records = len(a.Records())
	if err := json.NewEncoder(os.NewFile(3, "report")).Encode(p); err != nil {
		panic(err)
	}
}

// process is a process that plays a script.
type process struct {
	*exec.Cmd
	stdout, stderr io.ReadCloser
	report         *os.File
}

// spawn starts a process that plays a script after FAULTY_START.
func spawn(t *testing.T, script, start string) *process {
	t.Helper()
	return launch(t, envPlay+"="+script, envStart+"="+start)
}

// launch starts a process. The test ends it, with all that belongs to it.
func launch(t *testing.T, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = slices.Concat(env, []string{"GOTRACEBACK=single"})
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	report, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.report, p.ExtraFiles = report, []*os.File{theirs}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, theirErr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdout, p.Stderr, p.stdout, p.stderr = theirOut, theirErr, out, errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{theirs, theirOut, theirErr} {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) // the group may be gone
		for _, f := range []io.Closer{report, out, errs} {
			_ = f.Close()
		}
		_ = p.Wait() // reaped already in most cases
	})
	return p
}

// end reads all output, waits for the end, and returns what the process said.
func (p *process) end(t *testing.T) (out, errs string, said played) {
	t.Helper()
	texts := [2]chan string{make(chan string, 1), make(chan string, 1)}
	for i, r := range []io.Reader{p.stdout, p.stderr} {
		go func() {
			text, _ := io.ReadAll(r)
			texts[i] <- string(text)
		}()
	}
	watchdog := time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() })
	defer watchdog.Stop()
	report, err := io.ReadAll(p.report)
	if err != nil {
		t.Error(err)
	}
	_ = p.Wait() // the state says how it ended
	if len(report) > 0 {
		if err := json.Unmarshal(report, &said); err != nil {
			t.Errorf("report %q: %v", report, err)
		}
	}
	return <-texts[0], <-texts[1], said
}

// death says how a process ended.
func (p *process) death() string {
	status := p.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprint("exit ", status.ExitStatus())
}

func TestDeaths(t *testing.T) {
	t.Parallel()
	for script, test := range map[string]struct{ death, stderr string }{
		"exit:0":            {"exit 0", ""},
		"exit:42":           {"exit 42", ""},
		"kill":              {"killed", ""},
		"panic":             {"exit 2", "panic: told to panic"}, // nothing recovers it here, as serve would
		"crash-after-write": {"exit 2", "panic: told to crash after writing record faulty-"},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, script, "ok")
			_, errs, said := p.end(t)
			if p.death() != test.death || !strings.Contains(errs, test.stderr) || said != (played{}) {
				t.Errorf("ended by %s with %q, said %+v", p.death(), errs, said)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	p := spawn(t, "stdout:3", "ok")
	out, _, said := p.end(t)
	if len(out) != 3*mebibyte+1 || strings.Count(out, "\n") != 1 || said.Records != 1 || said.LogID == "" {
		t.Errorf("stdout: %d bytes, said %+v", len(out), said)
	}
	p = spawn(t, "stderr-bomb", "ok")
	_, errs, said := p.end(t)
	if len(errs) < bombSize || len(errs) > 2*bombSize || said.Records != 1 {
		t.Errorf("stderr-bomb: %d bytes, said %+v", len(errs), said)
	}
	longest := 0
	for line := range bytes.Lines([]byte(errs)) {
		longest = max(longest, len(line))
	}
	if longest < mebibyte || !strings.Contains(errs, `{"@message":1}`+"\n") {
		t.Errorf("stderr-bomb: the longest line has %d bytes", longest)
	}
}

// TestNeverReturning: only the end of the process ends these.
func TestNeverReturning(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"hang", "spin"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, script, "ok")
			said := make(chan string, 1)
			go func() {
				text, _ := io.ReadAll(p.report)
				said <- string(text)
			}()
			select {
			case text := <-said:
				t.Fatalf("it returned: %q", text)
			case <-time.After(300 * time.Millisecond): // it must do nothing for a while
			}
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait()
			if text := <-said; text != "" || p.death() != "killed" {
				t.Errorf("it said %q and ended by %s", text, p.death())
			}
			if used := p.ProcessState.UserTime(); script == "spin" && used < 20*time.Millisecond {
				t.Errorf("it used %s of processor time", used)
			}
		})
	}
}

// TestForkAndDie: the process is dead, and its output is still held open by a
// child of its group.
func TestForkAndDie(t *testing.T) {
	t.Parallel()
	p := spawn(t, "fork-and-die", "ok")
	_ = p.Wait()
	if p.death() != "killed" {
		t.Fatalf("ended by %s", p.death())
	}
	closed := make(chan string, 2)
	for name, pipe := range map[string]io.Reader{"stdout": p.stdout, "stderr": p.stderr} {
		go func() {
			_, _ = io.Copy(io.Discard, pipe)
			closed <- name
		}()
	}
	select {
	case name := <-closed:
		t.Errorf("no child holds %s", name)
		closed <- name
	case <-time.After(200 * time.Millisecond): // both must stay open for a while
	}
	if err := syscall.Kill(-p.Process.Pid, syscall.SIGKILL); err != nil {
		t.Errorf("there is no child in the process group: %v", err)
	}
	for range 2 {
		<-closed
	}
	if _, err := parseStart(linger); err != nil || linger != "linger:1m" {
		t.Errorf("the child would live for another time: %q, %v", linger, err)
	}
}

func TestStarts(t *testing.T) {
	t.Parallel()
	for start, test := range map[string]struct {
		death, stdout, stderr string
		serves                bool
	}{
		"ok":        {"exit 0", "", "", true},
		"sick":      {"exit 0", "", "", true},
		"slow:20ms": {"exit 0", "", "", true},
		"exit:3":    {"exit 3", "", "cannot start: told not to\n", false},
		"panic":     {"exit 2", "", "told to panic at the start", false},
		"kill":      {"killed", "", "", false},
		"noise":     {"exit 0", "loading contacts ...\n", "", true},
		"nonsense":  {"exit 0", "", "", true},
		// The child of fork-and-die ends by itself.
		"linger:20ms": {"exit 0", "", "", false},
	} {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, "ok", start)
			out, errs, said := p.end(t)
			if p.death() != test.death || out != test.stdout || !strings.Contains(errs, test.stderr) || (said.Records == 1) != test.serves {
				t.Errorf("ended by %s with %q and %q, said %+v", p.death(), out, errs, said)
			}
		})
	}
	for start, line := range map[string]string{"garbage": "this is no handshake\n", "protocol": "1|99|unix|"} {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, "ok", start)
			said := make([]byte, len(line))
			if _, err := io.ReadFull(p.stdout, said); err != nil || string(said) != line {
				t.Errorf("it said %q, %v", said, err)
			}
			if err := p.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("it does not wait: %v", err)
			}
		})
	}
}
