package bench

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// startLimit is how long a process may take to say where it listens.
	startLimit = 30 * time.Second
	// endLimit is how long it may take to end.
	endLimit = 40 * time.Second
)

// spawn starts this binary in a role and returns the address that it prints. The
// process ends with the test.
func spawn(tb testing.TB, role string, env ...string) (address string) {
	tb.Helper()
	cmd := exec.Command(self(tb))
	cmd.Env = append(append(os.Environ(), envRole+"="+role), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	kill := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	tb.Cleanup(func() {
		kill.Reset(endLimit)
		_ = stdin.Close() // it has ended already when this fails
		if err := cmd.Wait(); err != nil {
			tb.Errorf("end the %s: %v", role, err)
		}
		kill.Stop()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	kill.Stop()
	if err != nil {
		tb.Fatalf("the %s did not say where it listens: %v", role, err)
	}
	return strings.TrimSpace(line)
}
