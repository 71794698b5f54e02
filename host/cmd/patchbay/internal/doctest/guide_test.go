package doctest

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// guide is the document for authors of adapters. Its blocks of shell are run from
// top to bottom, but for those under a comment that begins with notRun and says why.
// Of these the words are looked up.
const (
	guide  = "docs/ADAPTERS.md"
	notRun = "not run: "
)

// TestGuide goes the way of an author, as the guide has it, and sends the message
// again: the CRM's record is the same.
func TestGuide(t *testing.T) {
	t.Parallel()
	script := shellOf(t, guide, func(b block) bool { return !strings.HasPrefix(b.marker, notRun) })
	if len(script) < 4 {
		t.Fatalf("%s has %d blocks of commands: this test reads them wrongly", guide, len(script))
	}
	s := begin(t, script, "../acme")
	lines := strings.Fields(s.blocks[len(s.blocks)-1])
	s.dir = filepath.Join(s.dir, "..", "acme")
	commands := typed(script[len(script)-1])
	last := commands[len(commands)-1]
	if !slices.Equal(last[:3], []string{"patchbay", "message", "add"}) {
		t.Fatalf("%s ends with %q, not with a message", guide, last)
	}
	exit, again := s.run(t, last[1:]...)
	if logID := lines[len(lines)-1]; exit != 0 || !slices.Contains(strings.Split(again, "\n"), logID) {
		t.Errorf("the log ID is %s, and sent again it ends with %d:\n%s", logID, exit, again)
	}
}

// TestReadmeOfANewModule types what the README.md says that "patchbay adapter new"
// writes.
func TestReadmeOfANewModule(t *testing.T) {
	t.Parallel()
	script := shellOf(t, "host/cmd/patchbay/internal/scaffold/template/README", func(block) bool { return true })
	begun := `export PATH="$PWD/dist/bin:$PATH"
mkdir ../readme
patchbay adapter new acme --replace . --dir ../readme
cd ../readme/acme
`
	s := begin(t, append([]string{begun}, script...), "../readme")
	if printed := s.blocks[1]; !strings.Contains(printed, guide) {
		t.Errorf("the guide is not where it should be: %s", printed)
	}
	lines := strings.Fields(s.blocks[len(s.blocks)-1])
	if logID := lines[len(lines)-1]; !regexp.MustCompile(`^\d+$`).MatchString(logID) {
		t.Errorf("it ends with %q, not with a log ID", logID)
	}
}
