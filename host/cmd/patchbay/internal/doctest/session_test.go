package doctest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The bounds of a session, and the ports that documents name.
const (
	sessionTime = 3 * time.Minute
	hostPort    = "8080"
	crmPort     = "9090"
)

// preamble comes before the commands of a document: they end everything that they
// started, fetch no module, and curl says which status it got.
const preamble = `set -eu
trap 'kill $(jobs -p) || true; wait' EXIT
curl() { command curl -w '\nHTTP %%{http_code}\n' "$@"; }
export GOPROXY=off PATCHBAY_LISTEN=127.0.0.1:%[1]s PATCHBAY_SERVER=http://127.0.0.1:%[1]s
`

// between blocks the files that the commands have made get the ports of the run.
const between = `
if [ -f patchbay.yaml ]; then sed -i.bak 's/:%[1]s"/:%[2]s"/' patchbay.yaml; fi
echo '%[3]s'
`

// endOfBlock is what stands between the outputs of two blocks.
const endOfBlock = "--- the end of a block ---"

// session is one run of the commands of a document, in a shell that is still open.
type session struct {
	dir    string   // where it began: a copy of the repository
	host   string   // URL of the host that it started
	blocks []string // what each block has printed on standard output
}

// shellOf returns the blocks of shell in a document that are wanted.
func shellOf(t *testing.T, name string, wanted func(block) bool) []string {
	t.Helper()
	var out []string
	for _, b := range open(t, name).blocks(t) {
		if b.kind == "sh" && wanted(b) {
			out = append(out, b.text())
		}
	}
	return out
}

// freePort returns a port on which nobody listens now. It is below those that the
// system hands out, so that no other test is given it before the commands use it.
func freePort(t *testing.T) string {
	t.Helper()
	const first, count, tries = 20000, 10000, 100
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(count))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue // taken
		}
		must(t, listener.Close())
		_, port, err := net.SplitHostPort(address)
		must(t, err)
		return port
	}
	t.Fatalf("no free port in %d tries", tries)
	return ""
}

// begin runs the blocks in one shell, and leaves it and what it started running
// until the test ends. Then what the commands leave is removed.
func begin(t *testing.T, blocks []string, leaves string) *session {
	t.Helper()
	own, crm := freePort(t), freePort(t)
	s := &session{dir: clone(t), host: "http://127.0.0.1:" + own}
	script := fmt.Sprintf(preamble, own)
	ports := strings.NewReplacer(hostPort, own, crmPort, crm)
	for _, text := range blocks {
		// Built already.
		text = strings.Replace(text, "make build\n", "test -d dist\n", 1)
		script += ports.Replace(text) + fmt.Sprintf(between, crmPort, crm, endOfBlock)
	}
	script += "read -r _ || true\n" // until this test has seen enough

	ctx, cancel := context.WithTimeout(context.Background(), sessionTime)
	cmd := command(ctx, s.dir, "bash", "-c", script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the shell: %v", err)
		}
		cancel()
		must(t, os.RemoveAll(filepath.Join(s.dir, leaves))) // for -count
		if t.Failed() {
			t.Logf("standard error:\n%s", &stderr)
		}
	})
	lines, printed := bufio.NewScanner(stdout), ""
	for len(s.blocks) < len(blocks) && lines.Scan() {
		if lines.Text() == endOfBlock {
			s.blocks = append(s.blocks, printed)
			printed = ""
			continue
		}
		printed += lines.Text() + "\n"
	}
	if len(s.blocks) < len(blocks) {
		t.Fatalf("block %d ended early; it printed\n%s", len(s.blocks)+1, printed)
	}
	return s
}

// run runs a patchbay command against the host, beside the files of the document.
func (s *session) run(t *testing.T, args ...string) (exit int, out string) {
	t.Helper()
	cmd := command(t.Context(), s.dir, filepath.Join(clone(t), "dist", "bin", "patchbay"), args...)
	cmd.Env = append(cmd.Env, "PATCHBAY_SERVER="+s.host, "PATCHBAY_CONFIG=patchbay.yaml")
	printed, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("run patchbay %q: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), string(printed)
}
