package doctest

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// The section of the README that is run, the bounds of the run, and the ports
// that the README names.
const (
	byHand     = "Try it by hand"
	byHandTime = 90 * time.Second
	hostPort   = "8080"
	crmPort    = "9090"
)

// preamble comes before the commands of the README: they end everything that
// they started, and curl says which status it got.
const preamble = `set -eu
trap 'kill $(jobs -p) || true; wait' EXIT
curl() { command curl -w '\nHTTP %%{http_code}\n' "$@"; }
export PATCHBAY_LISTEN=127.0.0.1:%[1]s PATCHBAY_SERVER=http://127.0.0.1:%[1]s
`

// session is one run of commands in a shell that is still open.
type session struct {
	dir    string   // where it runs
	host   string   // URL of the host that it started
	blocks []string // what each block has printed on standard output
}

// TestByHand runs the commands of the README from top to bottom, the last block
// twice, and looks at what they print and leave.
func TestByHand(t *testing.T) {
	t.Parallel()
	var script []string
	for _, b := range open(t, "README.md").blocks(t) {
		if b.section == byHand && b.kind == "sh" {
			script = append(script, b.text())
		}
	}
	if len(script) != 3 {
		t.Fatalf("the README has %d blocks of commands under %q; this test knows what 3 print", len(script), byHand)
	}
	s := begin(t, append(script, script[2]))
	t.Run("prints", s.prints)
	t.Run("files", s.files)
	t.Run("backup", s.backup)
	t.Run("metrics", s.metrics)
}

// freePort returns a port on which nobody listens now.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	return port
}

// begin runs the blocks in one shell, and leaves it and what it started running
// until the test ends.
func begin(t *testing.T, blocks []string) *session {
	t.Helper()
	port := freePort(t)
	s := &session{dir: clone(t), host: "http://127.0.0.1:" + port}
	const mark = "--- the end of a block ---"
	script := fmt.Sprintf(preamble, port)
	ports := strings.NewReplacer(hostPort, port, crmPort, freePort(t))
	for _, text := range blocks {
		// Built already.
		text = strings.Replace(text, "make build\n", "test -d dist\n", 1)
		script += ports.Replace(text) + "\necho '" + mark + "'\n"
	}
	script += "read -r _ || true\n" // until this test has seen enough

	ctx, cancel := context.WithTimeout(context.Background(), byHandTime)
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
		must(t, os.RemoveAll(filepath.Join(s.dir, "var"))) // for -count
		if t.Failed() {
			t.Logf("standard error:\n%s", &stderr)
		}
	})
	lines, printed := bufio.NewScanner(stdout), ""
	for len(s.blocks) < len(blocks) && lines.Scan() {
		if lines.Text() == mark {
			s.blocks = append(s.blocks, printed)
			printed = ""
			continue
		}
		printed += lines.Text() + "\n"
	}
	if len(s.blocks) < len(blocks) {
		t.Fatalf("block %d of %q ended early; it printed\n%s", len(s.blocks)+1, byHand, printed)
	}
	return s
}

func (s *session) prints(t *testing.T) {
	for n, want := range [][]string{
		{`(?m)^\{"status":"ok"\}$`, `(?m)^ok +adapter examplecrm `, `(?m)^a host can run$`},
		{`(?m)^tenant acme created$`, `(?m)^examplecrm \S+ enabled for acme$`, `(?m)^1$`, `(?m) logged .* 60279564004 +1 `},
		{`"logId":"2"`, `"state":"logged"`, `"duplicate":false`, `(?m)^HTTP 201$`},
		{`"logId":"2"`, `"state":"logged"`, `"duplicate":true`, `(?m)^HTTP 200$`},
	} {
		for _, pattern := range want {
			if !regexp.MustCompile(pattern).MatchString(s.blocks[n]) {
				t.Errorf("block %d has not printed %s, but\n%s", n+1, pattern, s.blocks[n])
			}
		}
	}
	answer, _, _ := strings.Cut(s.blocks[2], "\nHTTP")
	if !json.Valid([]byte(answer)) {
		t.Errorf("the answer is no JSON: %s", answer)
	}
}

// files holds the table of docs/CONFIGURATION.md against the data directory of
// the running host.
func (s *session) files(t *testing.T) {
	want := map[string]string{}
	for _, row := range open(t, "docs/CONFIGURATION.md").table(t, "files").rows[1:] {
		for name := range strings.SplitSeq(row[0], ", ") {
			want[strings.Trim(name, "`")] = row[1]
		}
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, "var"))
	must(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		info, err := entry.Info()
		must(t, err)
		if mode := fmt.Sprintf("%04o", info.Mode().Perm()); want[name] != mode {
			t.Errorf("dataDir has %s with mode %s; the document says %q", name, mode, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("the document names %s, which a running host does not have", name)
	}
	info, err := os.Stat(filepath.Join(s.dir, "var"))
	must(t, err)
	if text := read(t, "docs/CONFIGURATION.md"); !strings.Contains(text, fmt.Sprintf("`dataDir` (mode %04o", info.Mode().Perm())) {
		t.Errorf("dataDir has mode %04o", info.Mode().Perm())
	}
}

var backupCommand = regexp.MustCompile(`(?m)^sqlite3 (\S+) "(VACUUM INTO '(\S+)')"$`)

// backup runs the statement that docs/CONFIGURATION.md gives for a backup, while
// the host runs, and looks whether the copy is whole.
func (s *session) backup(t *testing.T) {
	m := backupCommand.FindStringSubmatch(read(t, "docs/CONFIGURATION.md"))
	if m == nil {
		t.Fatal("docs/CONFIGURATION.md has no command that makes a backup")
	}
	copied := filepath.Join(s.dir, m[3])
	ask := func(file, statement string, into ...any) {
		t.Helper()
		db, err := sql.Open("sqlite", file)
		must(t, err)
		defer func() { must(t, db.Close()) }()
		if len(into) == 0 {
			_, err = db.ExecContext(t.Context(), statement)
		} else {
			err = db.QueryRowContext(t.Context(), statement).Scan(into...)
		}
		must(t, err)
	}
	ask(filepath.Join(s.dir, m[1]), strings.Replace(m[2], m[3], copied, 1))
	t.Cleanup(func() { must(t, os.Remove(copied)) })
	var state string
	var entries, payloads int
	ask(copied, "PRAGMA integrity_check", &state)
	ask(copied, "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM payloads)", &entries, &payloads)
	if state != "ok" || entries != 2 || payloads != 0 {
		t.Errorf("the copy is %s and has %d entries and %d payloads, want 2 entries that are logged", state, entries, payloads)
	}
}

var (
	metricHelp  = regexp.MustCompile(`(?m)^# HELP (patchbay_\w+) (.*)$`)
	metricType  = regexp.MustCompile(`(?m)^# TYPE (patchbay_\w+) (\w+)$`)
	metricUse   = regexp.MustCompile(`(?m)^(patchbay_\w+)\{(.*)\} `)
	metricLabel = regexp.MustCompile(`(\w+)="`)
	metricParts = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// metrics holds the table of metrics against what the host shows.
func (s *session) metrics(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(s.host + "/metrics")
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	kinds, labels := map[string]string{}, map[string][]string{}
	for _, m := range metricType.FindAllStringSubmatch(string(text), -1) {
		kinds[m[1]] = m[2]
	}
	for _, m := range metricUse.FindAllStringSubmatch(string(text), -1) {
		name := m[1]
		if kinds[name] == "" {
			name = metricParts.ReplaceAllString(name, "")
		}
		for _, label := range metricLabel.FindAllStringSubmatch(m[2], -1) {
			if label[1] != "le" && !slices.Contains(labels[name], code(label[1])) {
				labels[name] = append(labels[name], code(label[1]))
			}
		}
	}
	rows := [][]string{{"metric", "type", "labels", "meaning"}}
	for _, m := range metricHelp.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(metricNames(t), m[1]) {
			t.Errorf("%s is made of parts: its whole name does not stand in the code", m[1])
		}
		rows = append(rows, []string{code(m[1]), kinds[m[1]], strings.Join(labels[m[1]], " "), cell(m[2])})
	}
	if known := metricNames(t); len(rows)-1 != len(known) {
		t.Errorf("the host shows %d metrics, the code names %q", len(rows)-1, known)
	}
	wantTable(t, "docs/CONFIGURATION.md", "metrics", rows)
}
