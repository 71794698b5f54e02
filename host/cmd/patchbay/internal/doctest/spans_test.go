package doctest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/config"
)

// notInCode are code spans for which nothing in this repository stands, with the
// reason. A span that no document has any more is taken off the list.
var notInCode = map[string]string{
	"acme.example.com":       "an example of a CRM's host name",
	"linux-amd64/examplecrm": "an example of a path in a package",
	"<b>":                    "HTML",
	"go_":                    "metrics of Prometheus' own library",
	"process_":               "the same",
	"buf breaking":           "a tool that .tools/generate runs",
	"encoding/json/v2":       "a package that is still an experiment",
	"W + D + L":              "the letters of docs/DELIVERY.md",
	"New(Config, deps)":      "a pattern of the house, not one function",
	"testdata":               "where Go's tests keep files",
	"testdata/fuzz":          "where Go keeps the findings of fuzz targets",
}

// scaffold holds the files that "patchbay adapter new" makes.
const scaffold = "host/cmd/patchbay/internal/scaffold/template"

// kinds of code spans, by what they look like. The first that fits decides, and
// says what is wrong with the span.
var kindsOfSpans = []struct {
	name  string
	looks *regexp.Regexp
	check func(t *testing.T, s span) error
}{
	{"command", regexp.MustCompile(`^(\$ )?([A-Z_]+=\S+ )*(patchbay|make|go)( |$)`), lookedUpElsewhere},
	{"metric", regexp.MustCompile(`^patchbay_[a-z_]+$`), lookedUpElsewhere},
	{"test", testName, lookedUpElsewhere},
	{"path of the HTTP API", regexp.MustCompile(`^/`), lookedUpElsewhere}, // by TestByHand, on a host
	{"variable of the host", regexp.MustCompile(`^PATCHBAY_`), lookedUpElsewhere},
	{"flag", regexp.MustCompile(`^--?[a-z]`), checkFlag},
	{"variable", regexp.MustCompile(`^(<NAME>_)?[A-Z][A-Z0-9]*(_[A-Z0-9]+)*(=\S*)?$`), checkVariable},
	{"value", regexp.MustCompile(`^\d+(ns|us|ms|s|m|h|B|[KMG]iB)$`), checkValue},
	{"address", regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`), checkAddress},
	{"header", regexp.MustCompile(`^[A-Z][\w-]*: \S`), checkHeader},
	{"media type or address", regexp.MustCompile(`^(application|text)/[\w.+-]+$|^https?://`), checkText},
	{"JSON member with a value", regexp.MustCompile(`^\{?"?\w+"?: ?\S+$`), checkMember},
	{"expression", regexp.MustCompile(`^[\w.&]+[({]`), checkExpression},
	{"path", regexp.MustCompile(`[\w>.*]/|/\.\.\.$|^\.|\.(go|md|json|txt|db|lock|token|mod|yml|yaml|proto)\b`), checkPath},
	{"key or name in a package", regexp.MustCompile(`^[\w<>]+(\[\])?(\.[\w<>]+(\[\])?)+$`), checkDotted},
	{"key of a log record", regexp.MustCompile(`^\w+=\w+$`), checkAttribute},
	{"word", regexp.MustCompile(`^\[?[\w-]+\]?$`), checkWord},
	{"text", regexp.MustCompile(` `), checkText},
}

// TestSpans wants every word that a document sets in type of its own to stand for
// something in the code.
func TestSpans(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range documents(t) {
		for n, line := range d.prose(t) {
			if strings.Count(line, "`")%2 != 0 {
				t.Errorf("%s: a code span goes over the end of the line, where nothing checks it", d.at(n))
			}
		}
		for _, s := range d.spans(t) {
			seen[s.text] = true
			if err := known(t, s); err != nil {
				t.Errorf("%s: `%s`: %s", s.at(), s.text, err)
			}
		}
	}
	for text := range notInCode {
		if !seen[text] {
			t.Errorf("no document has `%s`: take it off the list notInCode", text)
		}
	}
}

// known says what is wrong with a span.
func known(t *testing.T, s span) error {
	t.Helper()
	if notInCode[s.text] != "" {
		return nil
	}
	for _, kind := range kindsOfSpans {
		if kind.looks.MatchString(s.text) {
			if err := kind.check(t, s); err != nil {
				return fmt.Errorf("is taken for a %s: %w", kind.name, err)
			}
			return nil
		}
	}
	return errors.New("this test cannot tell what it is: give it a kind, or a reason in notInCode")
}

// lookedUpElsewhere is for kinds with a test of their own.
func lookedUpElsewhere(*testing.T, span) error { return nil }

func checkFlag(t *testing.T, s span) error {
	t.Helper()
	name, _, _ := strings.Cut(s.text, " ")
	name, _, _ = strings.Cut(name, "=")
	if len(sources(t).flags[name]) > 0 || slices.Contains(goFlags, name) || slices.Contains(goNames, name) || slices.Contains(goWords, name) {
		return nil
	}
	for _, path := range allCommands(t, nil) {
		if regexp.MustCompile(`(?m)^ +(-\w, )?` + regexp.QuoteMeta(name) + `\b`).MatchString(helpOf(t, append(path, "--help")...)) {
			return nil
		}
	}
	return errors.New("no command takes it")
}

func checkVariable(t *testing.T, s span) error {
	t.Helper()
	name, _, _ := strings.Cut(strings.TrimPrefix(s.text, "<NAME>"), "=")
	makefile := regexp.MustCompile(`(?m)^(export )?` + name + ` *[?:]?=`)
	if sources(t).words[name] || sources(t).selected[name] || exists(name) || makefile.MatchString(read(t, "Makefile")) {
		return nil
	}
	for _, file := range files(t, ".json") {
		if path.Dir(file) == "manifests" && strings.Contains(read(t, file), strconv.Quote(name)) {
			return nil // of the manifest's run.env
		}
	}
	return errors.New("neither the code nor the Makefile nor a manifest has it")
}

// checkValue takes what the configuration takes.
func checkValue(_ *testing.T, s span) error {
	if _, err := time.ParseDuration(s.text); err == nil {
		return nil
	}
	_, _, err := config.Load(config.Sources{Environ: []string{"PATCHBAY_MAX_BODY=" + s.text}})
	return err
}

func checkAddress(_ *testing.T, s span) error {
	if net.ParseIP(s.text) == nil {
		return errors.New("it is none")
	}
	return nil
}

func checkAttribute(t *testing.T, s span) error {
	t.Helper()
	name, _, _ := strings.Cut(s.text, "=")
	if !sources(t).words[name] {
		return fmt.Errorf("the code has no %q", name)
	}
	return nil
}

func checkHeader(t *testing.T, s span) error {
	t.Helper()
	name, value, _ := strings.Cut(s.text, ": ")
	if !sources(t).words[name] {
		return fmt.Errorf("the code has no header %s", name)
	}
	return mentioned(t, value)
}

// checkMember takes a member and a value that the code knows.
func checkMember(t *testing.T, s span) error {
	t.Helper()
	name, value, _ := strings.Cut(strings.Trim(s.text, "{}"), ":")
	for _, word := range []string{name, value} {
		word = strings.Trim(word, ` "`)
		if _, err := strconv.ParseFloat(word, 64); err != nil && word != "true" && word != "false" && !sources(t).words[word] {
			return fmt.Errorf("the code has no %q", word)
		}
	}
	return nil
}

func checkText(t *testing.T, s span) error {
	t.Helper()
	return mentioned(t, s.text)
}

// mentioned wants the text in a string of the code, not as part of longer words.
func mentioned(t *testing.T, text string) error {
	t.Helper()
	whole := regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(text) + `($|\W)`)
	if slices.ContainsFunc(sources(t).texts, whole.MatchString) {
		return nil
	}
	return errors.New("no string in the code has it")
}

// checkPath takes files and folders of the repository, seen from its root, from
// the document, or from a package named on the same line; what "make build" and a
// host make; and packages that are imported.
func checkPath(t *testing.T, s span) error {
	t.Helper()
	if sources(t).imported[s.text] || sources(t).words[strings.TrimPrefix(s.text, "./")] {
		return nil
	}
	name := strings.TrimSuffix(strings.TrimSuffix(s.text, "..."), "/")
	roots := []string{".", path.Dir(s.doc.name)}
	if s.doc.name == "docs/ADAPTERS.md" {
		roots = append(roots, scaffold)
	}
	for _, m := range codeSpan.FindAllStringSubmatch(s.doc.lines[s.line], -1) {
		if exists(m[1]) {
			roots = append(roots, m[1], path.Dir(m[1]))
		}
	}
	for _, from := range roots {
		if found, err := filepath.Glob(filepath.Join(root, from, name)); err == nil && len(found) > 0 {
			return nil
		}
	}
	for _, made := range []string{"dist/bin", "dist/adapters"} {
		if (name == made || strings.HasPrefix(name, made+"/")) && strings.Contains(read(t, "Makefile"), made) {
			return nil
		}
	}
	for _, row := range open(t, "docs/CONFIGURATION.md").table(t, "files").rows[1:] {
		if strings.Contains(row[0], code(strings.TrimPrefix(s.text, "<dataDir>/"))) {
			return nil
		}
	}
	if mentioned(t, s.text) == nil {
		return nil
	}
	return errors.New("it is neither there nor imported")
}

// checkDotted takes keys of the configuration and of manifests, whole or without
// their beginning, and names in packages.
func checkDotted(t *testing.T, s span) error {
	t.Helper()
	want := strings.ReplaceAll(s.text, "[]", "")
	keys := manifestKeys(t)
	for _, setting := range config.Settings() {
		keys = append(keys, setting.Key)
	}
	for _, key := range keys {
		if key == want || strings.HasSuffix(key, "."+want) {
			return nil
		}
	}
	if err := checkExpression(t, s); err != nil {
		return fmt.Errorf("no such key of the configuration or a manifest, and %w", err)
	}
	return nil
}

// manifestKeys returns the dotted paths of all members of a manifest.
func manifestKeys(t *testing.T) []string {
	t.Helper()
	var out []string
	walkManifest(t, func(key string, _ schema, _ bool) { out = append(out, strings.ReplaceAll(key, "[]", "")) })
	return out
}

// checkExpression takes Go whose functions, methods and fields are declared in
// this repository, or used in it.
func checkExpression(t *testing.T, s span) error {
	t.Helper()
	expr, err := parser.ParseExpr(s.text)
	if err != nil {
		return fmt.Errorf("it is no Go: %w", err)
	}
	return undeclared(sources(t), expr)
}

// undeclared says what in a piece of Go nothing declares. What stands alone as an
// argument is the reader's own, as are the variables that the piece makes.
func undeclared(src *source, piece ast.Node) (err error) {
	own := map[string]bool{}
	ast.Inspect(piece, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, to := range n.Lhs {
				if name, ok := to.(*ast.Ident); ok && n.Tok == token.DEFINE {
					own[name.Name] = true
				}
			}
		case *ast.SelectorExpr:
			of, plain := n.X.(*ast.Ident)
			name := n.Sel.Name
			pkg := plain && !own[of.Name] && len(src.packages(of.Name)) > 0
			switch {
			case pkg && src.declares(of.Name, name):
			case plain && (src.selected[of.Name+"."+name] || src.standardHas(of.Name, name)):
			case pkg, !src.declares("", name) && !src.selected[name]:
				err = fmt.Errorf("nothing declares %s", name)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && !src.declares("", f.Name) && types.Universe.Lookup(f.Name) == nil {
				err = fmt.Errorf("no package declares %s", f.Name)
			}
		}
		return true
	})
	return err
}

// checkWord takes what stands alone in the code as a string, the name of a member,
// a declaration, a package or a folder.
func checkWord(t *testing.T, s span) error {
	t.Helper()
	src := sources(t)
	if src.words[s.text] || src.declares("", s.text) || len(src.packages(s.text)) > 0 || src.importsNamed(s.text) || types.Universe.Lookup(s.text) != nil {
		return nil
	}
	if info, err := os.Stat(filepath.Join(root, s.text)); err == nil && info.IsDir() {
		return nil
	}
	return errors.New("the code has nothing of that name")
}
