package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// verdict is what a run says of one test, and so of a mutation.
type verdict string

const (
	caught    verdict = "caught"    // the test failed, or its process died in it
	survived  verdict = "SURVIVED"  // it passed, though the rule was gone
	notBuilt  verdict = "NOT BUILT" // the code does not compile
	hung      verdict = "HUNG"      // the test did not end in time
	undecided verdict = "UNDECIDED" // the test is not there, or was skipped
)

// testRun is what "go test -json" told.
type testRun struct {
	last     map[string]string // package and test → the last that was told of it: run, pass, fail or skip
	notBuilt bool
	hung     bool
	output   string // its last part
}

// maxOutput is how much of a run's output is kept, in bytes.
const maxOutput = 8 << 10

// event is one line of "go test -json", which writes its names in upper case.
type event struct {
	Action  string `json:"action"`
	Package string `json:"package"`
	Test    string `json:"test"`
	Output  string `json:"output"`
}

// buildTime is how long building may take beside the tests themselves; stopTime is
// how long output may be awaited once the processes were killed.
const (
	buildTime = 10 * time.Minute
	stopTime  = 10 * time.Second
)

// goTest runs the named tests of the packages in dir. Its error says that there is
// no outcome; tests that fail are one.
func goTest(ctx context.Context, dir string, packages, names []string, timeout time.Duration) (*testRun, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTime+timeout)
	defer cancel()
	args := []string{
		"test", "-json", "-vet=off", "-count=1", "-timeout", timeout.String(),
		"-trimpath", // or a copy could not use what was compiled for another
		"-run", "^(" + strings.Join(names, "|") + ")$",
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...) //nolint:gosec // names from the lists
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile builds: it compiles faster
	// The test is a child of the go command: both end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = stopTime
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("go test: %w", ctx.Err())
	}
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		return nil, fmt.Errorf("go test: %w", err)
	}
	run, err := read(&out)
	if err == nil && len(run.last) == 0 && !run.notBuilt {
		err = fmt.Errorf("no package was tested: %s", strings.TrimSpace(complaints.String()))
	}
	if err != nil {
		return nil, fmt.Errorf("go test: %w", err)
	}
	return run, nil
}

// read reads the lines of "go test -json".
func read(out io.Reader) (*testRun, error) {
	run := &testRun{last: map[string]string{}}
	var text strings.Builder
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read its output: %w", err)
		}
		switch e.Action {
		case "run", "pass", "fail", "skip":
			run.last[e.Package+" "+e.Test] = e.Action
		case "build-fail":
			run.notBuilt = true
		case "output", "build-output":
			run.hung = run.hung || strings.HasPrefix(e.Output, "panic: test timed out after ")
			text.WriteString(e.Output)
		}
	}
	run.output = text.String()
	if cut := len(run.output) - maxOutput; cut > 0 {
		run.output = "...\n" + run.output[cut:]
	}
	return run, lines.Err()
}

// verdict says what became of one test. pkg is as on the command line.
func (r *testRun) verdict(pkg, test string) verdict {
	last := r.of(pkg, test)
	switch {
	case last == "pass":
		return survived
	case r.hung:
		return hung
	case last == "fail", last == "run": // a panic outside of the test's own goroutine ends the process
		return caught
	case r.notBuilt:
		return notBuilt
	default:
		return undecided
	}
}

// of returns the last that was told of a test, "" for nothing. Packages are told by their
// import path, of which pkg is the end.
func (r *testRun) of(pkg, test string) string {
	for name, action := range r.last {
		if strings.HasSuffix(name, strings.TrimPrefix(pkg, ".")+" "+test) {
			return action
		}
	}
	return ""
}
