package doctest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ours begins the paths of this module's packages.
const ours = "github.com/patchbay-crm/patchbay/"

// place is where the map of docs/ARCHITECTURE.md puts a package: rows are counted
// from the top, columns from the left.
type place struct{ row, column int }

// mayImport is the rule of the map: only what stands in a lower row, or further
// right in the same.
func (p place) mayImport(q place) bool {
	return q.row > p.row || (q.row == p.row && q.column > p.column)
}

// mapped is the map: packages, and folders of packages, with their places.
type mapped struct {
	at map[string]place
	// inside are the names in parentheses behind a package: its parts.
	inside map[string][]string
}

var (
	wide       = regexp.MustCompile(`\s{2,}`)
	bracesInIt = regexp.MustCompile(`^(.*)\{(.*)\}$`)
	parenInIt  = regexp.MustCompile(`^(\S+) \((.*)\)$`)
)

// readMap reads the lines of the map. A line is a name, then packages; columns are
// parted by two spaces or more.
func readMap(lines []string) mapped {
	m := mapped{map[string]place{}, map[string][]string{}}
	for row, line := range lines {
		for column, word := range wide.Split(line, -1)[1:] {
			if in := parenInIt.FindStringSubmatch(word); in != nil {
				word = in[1]
				m.inside[word] = strings.Split(in[2], ", ")
			}
			names := []string{word}
			if in := bracesInIt.FindStringSubmatch(word); in != nil {
				names = nil
				for part := range strings.SplitSeq(in[2], ",") {
					names = append(names, in[1]+part)
				}
			}
			for _, name := range names {
				if name != "." {
					m.at[strings.TrimSuffix(name, "/<crm>")] = place{row, column}
				}
			}
		}
	}
	return m
}

// of returns the name under which the map has a package: its own, the package
// whose internal part it is, or a folder that is no package itself.
func (m mapped) of(s *source, dir string) string {
	for name := dir; name != "."; name = path.Dir(name) {
		rest := strings.TrimPrefix(dir, name)
		_, there := m.at[name]
		if there && (rest == "" || strings.HasPrefix(rest, "/internal/") || s.declared[name] == nil) {
			return name
		}
	}
	return ""
}

// faults says where the map and the imports of the packages disagree.
func (m mapped) faults(s *source) []string {
	var out []string
	notef := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for name := range m.at {
		if !exists(name) {
			notef("%s is not there", name)
		}
	}
	for dir, imports := range s.imports {
		if len(s.declared[dir]) == 0 {
			continue // tests only
		}
		from := m.of(s, dir)
		if from == "" {
			notef("%s is not on the map", dir)
			continue
		}
		for imported := range imports {
			if imported, ok := strings.CutPrefix(imported, ours); ok {
				if to := m.of(s, imported); to != "" && to != from && !m.at[from].mayImport(m.at[to]) {
					notef("%s imports %s, which does not stand below it or to its right", dir, imported)
				}
			}
		}
	}
	for name, parts := range m.inside {
		var reached []string
		for dir := range s.imports {
			if part, ok := strings.CutPrefix(dir, name+"/internal/"); ok && !strings.Contains(part, "/") && s.isImportedBelow(name, ours+dir) {
				reached = append(reached, part)
			}
		}
		slices.Sort(reached)
		if sorted := slices.Sorted(slices.Values(parts)); !slices.Equal(sorted, reached) {
			notef("%s is made of %q, not of %q", name, reached, sorted)
		}
	}
	return out
}

// isImportedBelow reports whether a package at or below dir imports that one.
func (s *source) isImportedBelow(dir, imported string) bool {
	for from, imports := range s.imports {
		if (from == dir || strings.HasPrefix(from, dir+"/")) && imports[imported] {
			return true
		}
	}
	return false
}

// TestMap holds the map of docs/ARCHITECTURE.md against who imports whom.
func TestMap(t *testing.T) {
	t.Parallel()
	const name = "docs/ARCHITECTURE.md"
	s, d := sources(t), open(t, name)
	found := false
	for _, b := range d.blocks(t) {
		if b.marker == "map" {
			found = true
			for _, fault := range readMap(d.lines[b.from:b.to]).faults(s) {
				t.Errorf("%s: the map: %s", b.at(), fault)
			}
		}
	}
	if !found {
		t.Fatalf("%s has no map", name)
	}
	var users []string
	for dir, imports := range s.imports {
		if imports["github.com/hashicorp/go-plugin"] {
			users = append(users, code(dir))
		}
	}
	slices.Sort(users)
	last := len(users) - 1
	if want := "only " + strings.Join(users[:last], ", ") + " and " + users[last] + " know go-plugin"; !strings.Contains(read(t, name), want) {
		t.Errorf("%s does not say: %s", name, want)
	}
}

func TestMapThatIsWrong(t *testing.T) {
	t.Parallel()
	s := &source{
		declared: map[string]map[string]bool{"a": {"X": true}, "b": {"X": true}, "b/internal/x": {"X": true}, "c/d": {"X": true}},
		imports: map[string]map[string]bool{
			"a": {ours + "b": true}, "b": {ours + "b/internal/x": true}, "b/internal/x": {}, "c/d": {ours + "a": true},
		},
	}
	for text, says := range map[string]string{
		"top  c\nmid  a  b (x)":      "",
		"top  c\nmid  b (x)  a":      "a imports b",
		"top  b (x)\nmid  c  a":      "a imports b",
		"top  c\nmid  a  b (y)":      `made of ["x"]`,
		"top  c\nmid  a":             "b is not on the map",
		"mid  a  b (x)\nlow  c":      "c/d imports a",
		"top  c\nmid  {a,b}":         "a imports b", // side by side
		"top  z  c\nmid  a  b":       "z is not there",
		"top  c\nmid  a  b/internal": "b is not on the map",
	} {
		var got []string
		for _, fault := range readMap(strings.Split(text, "\n")).faults(s) {
			if !strings.HasSuffix(fault, "is not there") || strings.HasPrefix(fault, "z ") {
				got = append(got, fault)
			}
		}
		if joined := strings.Join(got, "; "); (says == "") != (joined == "") || !strings.Contains(joined, says) {
			t.Errorf("%q: got %q, want %q", text, joined, says)
		}
	}
}

// TestDrawings wants the words that the comment above a drawing lists in the
// drawing, and in the code.
func TestDrawings(t *testing.T) {
	t.Parallel()
	for words, blocks := range marked(t, "drawing of") {
		for _, b := range blocks {
			for word := range strings.FieldsSeq(words) {
				if !regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(word) + `($|\W)`).MatchString(b.text()) {
					t.Errorf("%s: the drawing has no %s", b.at(), word)
				}
				if err := known(t, span{b.doc, b.from, word}); err != nil {
					t.Errorf("%s: %s in the comment above the drawing: %s", b.at(), word, err)
				}
			}
		}
	}
}
