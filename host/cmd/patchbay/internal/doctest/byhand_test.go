package doctest

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// byHand is the section of the README that is run.
const byHand = "Try it by hand"

// TestByHand runs the commands of the README from top to bottom, the last block
// twice, and looks at what they print and leave.
func TestByHand(t *testing.T) {
	t.Parallel()
	script := shellOf(t, "README.md", func(b block) bool { return b.section == byHand })
	if len(script) != 3 {
		t.Fatalf("the README has %d blocks of commands under %q; this test knows what 3 print", len(script), byHand)
	}
	s := begin(t, append(script, script[2]), "var")
	t.Run("prints", s.prints)
	t.Run("files", s.files)
	t.Run("backup", s.backup)
	t.Run("metrics", s.metrics)
	t.Run("routes", s.routes)
	t.Run("pages", s.pages)
	t.Run("environment", s.environment)
	t.Run("not enforced", s.notEnforced)
	t.Run("commands", s.commands) // last: they change what is there
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
	_, text := s.get(t, "/metrics")
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
