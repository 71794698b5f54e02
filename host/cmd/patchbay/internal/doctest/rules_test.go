package doctest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// What documents say of the tree as a whole.

var (
	leakCheck = regexp.MustCompile(`goleak\.(VerifyTestMain|Find)\(`)
	skips     = regexp.MustCompile(`\b[tbf]\.Skip(f|Now)?\(`)
)

// TestRulesOfTests holds what docs/TESTING.md says of every package: it looks for
// leaked goroutines, and skips nothing.
func TestRulesOfTests(t *testing.T) {
	t.Parallel()
	tested, checked := map[string]bool{}, map[string]bool{}
	for _, name := range files(t, "_test.go") {
		dir, text := path.Dir(name), read(t, name)
		if strings.Contains(name, "/testdata/") || strings.HasPrefix(name, scaffold) {
			continue // files of somebody else's module
		}
		if skips.MatchString(text) {
			t.Errorf("%s skips a test", name)
		}
		if dir != "." { // the package of the rules of imports has no goroutine
			tested[dir] = true
		}
		checked[dir] = checked[dir] || leakCheck.MatchString(text)
	}
	for dir := range tested {
		if !checked[dir] {
			t.Errorf("%s has tests, but does not look for leaked goroutines", dir)
		}
	}
	if len(tested) < 20 {
		t.Errorf("only %d packages with tests found: this test reads them wrongly", len(tested))
	}
}

var glossaryRow = regexp.MustCompile(`(?m)^\| \*\*(.+?)\*\* \|`)

// TestGlossary wants the words of docs/GLOSSARY.md in their order, and in the code:
// in its names, comments or texts, in one word or several.
func TestGlossary(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, name := range files(t, ".go") {
		if !strings.HasSuffix(name, "_test.go") {
			code.WriteString(read(t, name))
		}
	}
	var words []string
	for _, m := range glossaryRow.FindAllStringSubmatch(read(t, "docs/GLOSSARY.md"), -1) {
		words = append(words, strings.ToLower(m[1]))
		apart := strings.ReplaceAll(regexp.QuoteMeta(m[1]), " ", `(?:[ _-]?|\n\s*// )`)
		if !regexp.MustCompile(`(?i)` + apart).MatchString(code.String()) {
			t.Errorf("docs/GLOSSARY.md: the code does not use the word %q", m[1])
		}
	}
	if len(words) < 40 || !slices.IsSorted(words) {
		t.Errorf("docs/GLOSSARY.md has %d words, or not in order: %q", len(words), words)
	}
}

var adrName = regexp.MustCompile(`^docs/adr/(\d{4})-[\w-]+\.md$`)

// TestDecisions wants every page of a decision to be listed once, under the number
// that its heading and its file have.
func TestDecisions(t *testing.T) {
	t.Parallel()
	index := read(t, "docs/adr/README.md")
	found := 0
	for _, name := range files(t, ".md") {
		m := adrName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		found++
		if !strings.HasPrefix(read(t, name), "# "+m[1]+": ") {
			t.Errorf("%s has another number in its heading", name)
		}
		if strings.Count(index, "| ["+m[1]+"]("+path.Base(name)+") |") != 1 {
			t.Errorf("docs/adr/README.md does not list %s", name)
		}
	}
	if rows := strings.Count(index, "\n| ["); rows != found || found == 0 {
		t.Errorf("docs/adr/README.md has %d rows for %d pages", rows, found)
	}
}

var adaptersLine = regexp.MustCompile(`(?m)^ADAPTERS = (.*)$`)

// TestBundledAdapters holds what the README says of an adapter of this repository:
// it stands below plugins, its manifest below manifests, its name in the Makefile.
func TestBundledAdapters(t *testing.T) {
	t.Parallel()
	m := adaptersLine.FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile has no ADAPTERS")
	}
	var described []string
	for _, name := range files(t, ".json") {
		if path.Dir(name) != "manifests" || strings.HasSuffix(name, ".schema.json") {
			continue
		}
		found, err := manifest.Parse([]byte(read(t, name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		described = append(described, found.Name)
		if name != "manifests/"+found.Name+".json" || !exists("plugins/"+found.Name+"/main.go") {
			t.Errorf("%s is of %s, which does not stand in plugins/%s", name, found.Name, found.Name)
		}
	}
	slices.Sort(described)
	if built := slices.Sorted(strings.FieldsSeq(m[1])); !slices.Equal(built, described) {
		t.Errorf("the Makefile builds %q; there are manifests of %q", built, described)
	}
}
