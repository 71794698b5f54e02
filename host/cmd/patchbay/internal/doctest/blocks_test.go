package doctest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/manifest"
)

// TestEveryBlockIsHeld wants every block of every document to be run, made or
// compared by something.
func TestEveryBlockIsHeld(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, b := range d.blocks(t) {
			if err := held(t, b); err != nil {
				t.Errorf("%s: %s", b.at(), err)
			}
		}
	}
}

// held says why nothing holds the block.
func held(t *testing.T, b block) error {
	t.Helper()
	how, what, _ := strings.Cut(b.marker, ": ")
	switch {
	case how == "run by":
		return runBy(t, what, b.doc.name)
	case b.kind == "sh":
		return typable(t, b)
	case b.kind == "yaml", b.kind == "json" && (how == "copy of" || isManifest(b.text())):
		return nil // TestExamples, TestCopies
	case b.kind == "go":
		return nil // TestCode, TestPiecesOfCode
	case b.kind == "text" && (how == "output of" || how == "drawing of" || how == "map"):
		return nil // TestOutput, TestDrawings, TestMap
	}
	return fmt.Errorf("nothing holds this block of %q under the comment %q; doc.go lists what can", b.kind, b.marker)
}

// runBy wants a test of that name in a file that names the document.
func runBy(t *testing.T, test, doc string) error {
	t.Helper()
	for _, file := range sources(t).tests[test] {
		if strings.Contains(read(t, file), path.Base(doc)) {
			return nil
		}
	}
	return fmt.Errorf("no test %s names %s", test, doc)
}

// typable wants a block of shell to be run, or to be made of nothing but commands
// that are looked up.
func typable(t *testing.T, b block) error {
	t.Helper()
	why, lookedUp := strings.CutPrefix(b.marker, notRun)
	if !lookedUp && (b.doc.name == "README.md" && b.section == byHand || b.doc.name == guide) {
		return nil // TestByHand, TestGuide
	}
	for _, words := range typed(b.text()) {
		switch {
		case words[0] == "make", words[0] == "go", words[0] == "#": // TestMakeTargets, TestGoCommands
		case words[0] == "patchbay" && len(why) > 0: // TestCommands
		default:
			if !exists(words[0]) {
				return fmt.Errorf("nothing runs %s", strings.Join(words, " "))
			}
		}
	}
	return nil
}

func TestBlocksThatNothingHolds(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]block{
		"no language":      {},
		"another language": {kind: "ruby"},
		"unmarked text":    {kind: "text"},
		"another command":  {kind: "sh", doc: &document{name: "x.md", lines: []string{"make help", "rm -r /"}}, to: 2},
		"JSON of nobody":   {kind: "json", doc: &document{lines: []string{"{}"}}, to: 1},
		"no such test":     {kind: "sh", marker: "run by: TestThatIsNot"},
		"another's test":   {kind: "sh", marker: "run by: TestDelivery"},
	} {
		if b.doc == nil {
			b.doc = &document{name: "nowhere.md"}
		}
		if held(t, b) == nil {
			t.Errorf("%s counts as held", name)
		}
	}
}

// wantBlock holds a block against the text that it should have.
func wantBlock(t *testing.T, b block, want string) {
	t.Helper()
	if b.text() == want {
		return
	}
	if *update {
		b.doc.replace(t, b.from, b.to, strings.Split(want, "\n"))
		return
	}
	t.Errorf("%s: the block %q is\n%s\nbut should be\n%s", b.at(), b.marker, b.text(), want)
}

// marked returns the blocks of all documents whose markers begin so, with the
// words behind it.
func marked(t *testing.T, beginning string) map[string][]block {
	t.Helper()
	out := map[string][]block{}
	for _, d := range documents(t) {
		for _, b := range d.blocks(t) {
			if rest, ok := strings.CutPrefix(b.marker, beginning+": "); ok {
				out[rest] = append(out[rest], b)
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no document has a block %q", beginning)
	}
	return out
}

// TestCode holds quoted functions against their files.
func TestCode(t *testing.T) {
	for what, blocks := range marked(t, "code from") {
		file, name, _ := strings.Cut(what, " ")
		want := function(t, file, name)
		for _, b := range blocks {
			wantBlock(t, b, want)
		}
	}
}

// function returns the text of a function or method without its comment.
func function(t *testing.T, file, name string) string {
	t.Helper()
	text := read(t, file)
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	must(t, err)
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == name {
			return text[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset]
		}
	}
	t.Fatalf("%s has no function %s", file, name)
	return ""
}

// TestPiecesOfCode looks up what unmarked pieces of Go name: statements, or
// declarations.
func TestPiecesOfCode(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, b := range d.blocks(t) {
			if b.kind != "go" || b.marker != "" {
				continue
			}
			if err := pieceFault(sources(t), b.text()); err != nil {
				t.Errorf("%s: %s", b.at(), err)
			}
		}
	}
}

func pieceFault(src *source, text string) error {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+text+"\n}", parser.SkipObjectResolution)
	if err != nil {
		file, err = parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, parser.SkipObjectResolution)
	}
	if err != nil {
		return err
	}
	return undeclared(src, file)
}

func TestPiecesThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"client, err := crmhttp.New(config)":              "",
		"client, err := crmhttp.Nwe(config)":              "Nwe",
		"config := crmhttp.FromEnv(\"X\")\nconfig.No = 1": "nothing declares No",
		"func f(t *testing.T) { sdktest.Run(t, nil) }":    "",
		"func f(t *testing.T) { sdktest.Rnu(t, nil) }":    "Rnu",
		"if {": "expected",
	} {
		err := pieceFault(sources(t), text)
		if (err == nil) != (says == "") || (err != nil && !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// TestCopies holds copied JSON against its files.
func TestCopies(t *testing.T) {
	for file, blocks := range marked(t, "copy of") {
		var want bytes.Buffer
		must(t, json.Indent(&want, []byte(strings.TrimSpace(read(t, file))), "", "  "))
		for _, b := range blocks {
			wantBlock(t, b, want.String())
		}
	}
}

// what differs between two runs of a command, and what stands for it.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile("\x1b\\[[0-9;]*m"), ""},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\b(pid|process|kill -9) \d+`), "$1 PID"},
	{regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`), "ID"},
	{regexp.MustCompile(`\b\d+(\.\d+)? (ms|s)\b`), "TIME"},
}

func normal(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return text
}

// until returns the lines up to the one that is last, apart from what varies; all
// when none is.
func until(lines []string, last string) []string {
	for n, line := range lines {
		if normal(line) == normal(last) {
			return lines[:n+1]
		}
	}
	return lines
}

// TestOutput runs the commands whose output documents show. A block may leave
// out the end of an output.
func TestOutput(t *testing.T) {
	t.Parallel()
	dir := clone(t)
	for what, blocks := range marked(t, "output of") {
		words := strings.Fields(what)
		out, err := command(t.Context(), dir, filepath.Join("dist", "bin", words[0]), words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, out)
		}
		got := strings.Split(strings.TrimLeft(string(out), "\n"), "\n")
		for _, b := range blocks {
			want := strings.Join(until(got, b.doc.lines[b.to-1]), "\n")
			if normal(want) != normal(b.text()) {
				wantBlock(t, b, varying[0].pattern.ReplaceAllString(want, ""))
			}
		}
	}
}

// TestExamples reads every block of JSON and YAML as the host would.
func TestExamples(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for _, d := range documents(t) {
		for _, b := range d.blocks(t) {
			kinds[b.kind]++
			if err := readAs(t, b); err != nil {
				t.Errorf("%s: %s", b.at(), err)
			}
		}
	}
	for _, kind := range []string{"json", "yaml"} {
		if kinds[kind] == 0 {
			t.Errorf("no document has a block of %s: this test reads them wrongly", kind)
		}
	}
}

func readAs(t *testing.T, b block) error {
	t.Helper()
	switch b.kind {
	case "json":
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(b.text()), &members); err != nil {
			return err
		}
		if isManifest(b.text()) {
			_, err := manifest.Parse([]byte(b.text()))
			return err
		}
	case "yaml":
		file := filepath.Join(t.TempDir(), "patchbay.yaml")
		must(t, os.WriteFile(file, []byte(b.text()), 0o600))
		_, warnings, err := config.Load(config.Sources{File: file})
		if err == nil && len(warnings) > 0 {
			t.Errorf("%s: %q", b.at(), warnings)
		}
		return err
	}
	return nil
}

func isManifest(text string) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal([]byte(text), &members) == nil && members["schemaVersion"] != nil
}

func TestBadExamplesAreFound(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]block{
		"json":     {kind: "json", doc: &document{lines: []string{`{"a": }`}}},
		"manifest": {kind: "json", doc: &document{lines: []string{`{"schemaVersion": 1, "name": "x"}`}}},
		"yaml":     {kind: "yaml", doc: &document{lines: []string{`listn: x`}}},
	} {
		b.to = 1
		if readAs(t, b) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
