package doctest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/cli"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)

func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	var targets []string
	for _, m := range makeTarget.FindAllStringSubmatch(makefile, -1) {
		targets = append(targets, m[1])
	}
	help, err := command(t.Context(), root, "make", "help").CombinedOutput()
	must(t, err)
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^  ` + target + ` +\S`).Match(help) {
			t.Errorf("make help does not list %s", target)
		}
	}
	found := 0
	for _, d := range documents(t) {
		for _, words := range d.typedIn(t) {
			if words[0] != "make" {
				continue
			}
			for _, word := range words[1:] {
				found++
				variable, _, set := strings.Cut(word, "=")
				switch {
				case set && !strings.Contains(makefile, "$("+variable+")"):
					t.Errorf("%s: the Makefile has no variable %s", d.name, variable)
				case !set && !slices.Contains(targets, word):
					t.Errorf("%s: the Makefile has no target %s (%q)", d.name, word, words)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document names a target: this test reads them wrongly")
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, words := range d.typedIn(t) {
			if words[0] != "patchbay" {
				continue
			}
			found++
			if err := understands(t, words[1:]); err != nil {
				t.Errorf("%s: patchbay %s: %s", d.name, strings.Join(words[1:], " "), err)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands found: this test reads them wrongly", found)
	}
}

func TestCommandsThatAreNone(t *testing.T) {
	t.Parallel()
	for line, ok := range map[string]bool{
		"message add m.json --tenant=x -h": true, "help secrets": true, "serve --config x": true, "": true, "demo --keep": true,
		"mesage add": false, "message ad m.json": false, "message add --tenannt x": false, "help secret": false, "serve --keep": false,
	} {
		if err := understands(t, strings.Fields(line)); (err == nil) != ok {
			t.Errorf("patchbay %s: %v", line, err)
		}
	}
}

// helpOf returns what the command line says to these words.
func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	env := cli.Environment{In: strings.NewReader(""), Out: &out, Err: &out}
	cli.Main(t.Context(), env, cli.Actions{}, args)
	return out.String()
}

// understands reports what is wrong with a line for patchbay: the command has to
// be there, and every flag has to be one of its own.
func understands(t *testing.T, words []string) error {
	t.Helper()
	if len(words) > 0 && words[0] == "help" {
		if len(words) > 1 && helpOf(t, words...) == helpOf(t, "--help") {
			return errors.New("there is no such topic")
		}
		return nil
	}
	command, help := "patchbay", helpOf(t, "--help")
	for _, word := range words {
		if strings.HasPrefix(word, "-") {
			continue
		}
		deeper := command + " " + word
		text := helpOf(t, append(strings.Fields(deeper)[1:], "--help")...)
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(deeper) + `( |$)`).MatchString(usage(text)) {
			if strings.Contains(usage(help), "[command]") {
				return fmt.Errorf("%s has no command %s", command, word)
			}
			break
		}
		command, help = deeper, text
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "-") && !regexp.MustCompile(`(?m)^ +(-\w, )?`+flag+`\b|^ +`+flag+`, `).MatchString(help) {
			return fmt.Errorf("%s has no flag %s", command, flag)
		}
	}
	return nil
}

// usage returns the lines of a help text below "Usage:".
func usage(help string) string {
	_, rest, _ := strings.Cut(help, "Usage:\n")
	lines, _, _ := strings.Cut(rest, "\n\n")
	return lines
}

var (
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notInLink  = regexp.MustCompile(`[^a-z0-9 _-]`)
	ourPath    = regexp.MustCompile(`^(host|sdk|plugins|manifests|docs|\.ci|\.tools)(/[\w.-]+)+$`)
	docsPath   = regexp.MustCompile(`\bdocs/[\w/-]+(\.md)?`)
	elsewhere  = regexp.MustCompile(`^[a-z]+:`)
	headingRow = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// anchors returns the anchors of a document's headings.
func anchors(d *document, prose string) []string {
	var out []string
	for _, m := range headingRow.FindAllStringSubmatch(prose, -1) {
		out = append(out, strings.ReplaceAll(notInLink.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(d.prose(t), -1) {
			if elsewhere.MatchString(m[1]) {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := d.name
			if file != "" {
				target = path.Join(path.Dir(d.name), file)
			}
			if !exists(target) {
				t.Errorf("%s links to %s, which is not there", d.name, m[1])
			} else if to := open(t, target); anchor != "" && !slices.Contains(anchors(to, to.prose(t)), anchor) {
				t.Errorf("%s links to %s: no such heading", d.name, m[1])
			}
		}
		for _, span := range d.spans(t) {
			if ourPath.MatchString(span) && !exists(span) {
				t.Errorf("%s names %s, which is not there", d.name, span)
			}
		}
	}
}

// TestDocumentsNamedInCode looks up the documents that comments and scripts name.
func TestDocumentsNamedInCode(t *testing.T) {
	t.Parallel()
	found := 0
	names := []string{"Makefile", ".golangci.yml", ".ci/run"}
	for _, ending := range []string{".go", ".proto"} {
		names = append(names, files(t, ending)...)
	}
	for _, name := range names {
		for _, doc := range docsPath.FindAllString(read(t, name), -1) {
			found++
			if !exists(doc) {
				t.Errorf("%s names %s, which is not there", name, doc)
			}
		}
	}
	if found == 0 {
		t.Error("no file names a document: this test reads them wrongly")
	}
}

// source is what the tree of Go files says.
type source struct {
	texts []string            // string literals outside of tests
	tests map[string][]string // functions of test files, with the files
}

var parsed struct {
	once sync.Once
	source
	err error
}

// sources reads every Go file once.
func sources(t *testing.T) source {
	t.Helper()
	parsed.once.Do(func() {
		parsed.tests = map[string][]string{}
		for _, name := range files(t, ".go") {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
			if err != nil {
				parsed.err = err
				return
			}
			test := strings.HasSuffix(name, "_test.go")
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); !test && n.Kind == token.STRING && err == nil {
						parsed.texts = append(parsed.texts, text)
					}
				case *ast.FuncDecl:
					if test && n.Recv == nil {
						parsed.tests[n.Name.Name] = append(parsed.tests[n.Name.Name], name)
					}
				}
				return true
			})
		}
	})
	must(t, parsed.err)
	return parsed.source
}

// named returns what matches in the strings of the code, each once.
func (s source) named(pattern *regexp.Regexp) []string {
	var out []string
	for _, text := range s.texts {
		out = append(out, pattern.FindAllString(text, -1)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var (
	metricName   = regexp.MustCompile(`\bpatchbay_[a-z]+(_[a-z]+)*\b`)
	metricInCode = regexp.MustCompile(`^patchbay_[a-z]+(_[a-z]+)*$`)
	variable     = regexp.MustCompile(`\bPATCHBAY_[A-Z]+(_[A-Z]+)*\b`)
	testName     = regexp.MustCompile(`\b(Test|Fuzz|Benchmark|Example)[A-Z]\w*`)
)

func metricNames(t *testing.T) []string {
	t.Helper()
	return sources(t).named(metricInCode)
}

func TestMetricNames(t *testing.T) {
	t.Parallel()
	known, shown := metricNames(t), ""
	for _, d := range documents(t) {
		shown += strings.Join(d.lines, "\n")
		for _, name := range metricName.FindAllString(strings.Join(d.lines, "\n"), -1) {
			if !slices.Contains(known, name) && !slices.Contains(known, metricParts.ReplaceAllString(name, "")) {
				t.Errorf("%s names the metric %s, which is not in the code", d.name, name)
			}
		}
	}
	for _, name := range known {
		if !strings.Contains(shown, "`"+name+"`") {
			t.Errorf("the metric %s is not documented", name)
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	known := sources(t).named(variable)
	for _, s := range config.Settings() {
		if s.Env() != "" {
			known = append(known, s.Env())
		}
	}
	for _, d := range documents(t) {
		for _, name := range variable.FindAllString(strings.Join(d.lines, "\n"), -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names the variable %s, which is not in the code", d.name, name)
			}
		}
	}
	documented := read(t, "docs/CONFIGURATION.md")
	for _, name := range known {
		if !strings.Contains(documented, "`"+name+"`") {
			t.Errorf("docs/CONFIGURATION.md does not name the variable %s", name)
		}
	}
}

var testLink = regexp.MustCompile("\\[`?(\\w+)`?\\]\\(([^)\\s]+_test\\.go)\\)")

// TestTestsAreThere looks up every test that a document names, in the file that
// it is linked to if it is.
func TestTestsAreThere(t *testing.T) {
	t.Parallel()
	tests := sources(t).tests
	for _, d := range documents(t) {
		for _, name := range testName.FindAllString(strings.Join(d.lines, "\n"), -1) {
			if len(tests[name]) == 0 {
				t.Errorf("%s names %s, which is not there", d.name, name)
			}
		}
		for _, m := range testLink.FindAllStringSubmatch(d.prose(t), -1) {
			if file := path.Join(path.Dir(d.name), m[2]); !slices.Contains(tests[m[1]], file) {
				t.Errorf("%s links %s to %s; it stands in %q", d.name, m[1], file, tests[m[1]])
			}
		}
	}
}

// TestNaiveFailures holds the table of docs/TESTING.md against the list of
// docs/DELIVERY.md and the rules that the model takes out.
func TestNaiveFailures(t *testing.T) {
	t.Parallel()
	_, list, ok := strings.Cut(read(t, "docs/DELIVERY.md"), "\n## How simpler protocols fail\n")
	if !ok {
		t.Fatal("docs/DELIVERY.md has no such section")
	}
	list, _, _ = strings.Cut(list, "\n## ")
	model := read(t, "host/ledger/model_test.go")
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(list, -1) {
		want = append(want, m[1])
	}
	for _, row := range open(t, "docs/TESTING.md").table(t, "naive failures").rows[1:] {
		got = append(got, row[0])
		if !testLink.MatchString(row[1]) {
			t.Errorf("failure %s links to no test", row[0])
		}
		if inModel := strings.Contains(model, "naive "+row[0]+":"); inModel != (row[2] == "yes") {
			t.Errorf("failure %s is in the model: %v; the table says %q", row[0], inModel, row[2])
		}
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the table has the failures %q, docs/DELIVERY.md %q", got, want)
	}
}

// TestGoCommands looks up the packages that commands for go name.
func TestGoCommands(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, words := range d.typedIn(t) {
			if words[0] != "go" {
				continue
			}
			for _, word := range words[1:] {
				if !strings.HasPrefix(word, "./") {
					continue
				}
				found++
				if !exists(strings.TrimSuffix(word, "/...")) {
					t.Errorf("%s: there is no package %s", d.name, word)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document names a package: this test reads them wrongly")
	}
}

// TestExitCodes holds the table of exit codes against what the command line says
// of them, and the classes in it against the codes.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^  (\d)  `).FindAllStringSubmatch(helpOf(t, "help", "exit-codes"), -1) {
		want = append(want, m[1])
	}
	classes := map[int]fault.Class{cli.ExitRefused: fault.Permanent, cli.ExitLater: fault.Retryable, cli.ExitUnknown: fault.Unknown}
	for n, row := range open(t, "docs/ERRORS.md").table(t, "exit codes").rows[1:] {
		got = append(got, row[0])
		if class, ok := classes[n]; ok && !strings.Contains(row[1], code(class.String())) {
			t.Errorf("exit code %d is class %s; the document says %s", n, class, row[1])
		}
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the table has the codes %q, patchbay help exit-codes %q", got, want)
	}
}

var logRecord = regexp.MustCompile(`\b(DEBUG|INFO|WARN|ERROR) "([^"]+)"`)

// TestLogRecords looks up the log messages that documents quote.
func TestLogRecords(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, m := range logRecord.FindAllStringSubmatch(d.prose(t), -1) {
			found++
			if !slices.Contains(sources(t).texts, m[2]) {
				t.Errorf("%s: nothing logs %q", d.name, m[2])
			}
		}
	}
	if found == 0 {
		t.Error("no document quotes a log message: this test reads them wrongly")
	}
}
