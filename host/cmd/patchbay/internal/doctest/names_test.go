package doctest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/config"
)

var (
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notInLink  = regexp.MustCompile(`[^a-z0-9 _-]`)
	docsPath   = regexp.MustCompile(`(?:^|[^\w/.])(docs/[\w/-]+(?:\.md)?)`) // not of an address
	elsewhere  = regexp.MustCompile(`^[a-z]+:`)
	headingRow = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// anchors returns the anchors of a document's headings.
func anchors(t *testing.T, d *document) []string {
	t.Helper()
	var out []string
	for _, m := range headingRow.FindAllStringSubmatch(strings.Join(d.prose(t), "\n"), -1) {
		out = append(out, strings.ReplaceAll(notInLink.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(strings.Join(d.prose(t), "\n"), -1) {
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
			} else if anchor != "" && !slices.Contains(anchors(t, open(t, target)), anchor) {
				t.Errorf("%s links to %s: no such heading", d.name, m[1])
			}
		}
	}
}

// TestEveryPageIsLinked wants every page of docs to be linked from the README, and
// every page of a folder in docs from that folder's README.md: who is not led to a
// page does not find it.
func TestEveryPageIsLinked(t *testing.T) {
	t.Parallel()
	pages := 0
	for _, name := range files(t, ".md") {
		if !strings.HasPrefix(name, "docs/") {
			continue
		}
		pages++
		from := "README.md"
		if dir := path.Dir(name); dir != "docs" && path.Base(name) != "README.md" {
			from = path.Join(dir, "README.md")
		}
		if !slices.Contains(linked(t, from), name) {
			t.Errorf("%s has no link to %s", from, name)
		}
	}
	if pages < 8 {
		t.Errorf("only %d pages found: this test looks in the wrong place", pages)
	}
}

// linked returns the files of the repository that a document links to.
func linked(t *testing.T, name string) []string {
	t.Helper()
	d := open(t, name)
	var out []string
	for _, m := range link.FindAllStringSubmatch(strings.Join(d.prose(t), "\n"), -1) {
		file, _, _ := strings.Cut(m[1], "#")
		out = append(out, path.Join(path.Dir(name), file))
	}
	return out
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
		for _, m := range docsPath.FindAllStringSubmatch(read(t, name), -1) {
			found++
			if !exists(m[1]) {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no file names a document: this test reads them wrongly")
	}
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

// TestReadersOfVariables holds the column "read by" of the other variables against
// the help of the commands.
func TestReadersOfVariables(t *testing.T) {
	t.Parallel()
	const name = "docs/CONFIGURATION.md"
	found := 0
	for _, row := range open(t, name).table(t, "other variables").rows[1:] {
		variable := strings.Trim(row[0], "`")
		if !strings.HasPrefix(variable, "PATCHBAY_") {
			continue
		}
		found++
		var named []string
		for _, m := range codeSpan.FindAllStringSubmatch(row[1], -1) {
			named = append(named, m[1])
		}
		clients := len(named) == 0 || strings.Contains(row[1], "commands that talk to a host")
		for _, path := range allCommands(t, nil) {
			command, help := strings.Join(append([]string{"patchbay"}, path...), " "), helpOf(t, append(path, "--help")...)
			reads := regexp.MustCompile(`(?m)^ +(-\w, )?--.*\$` + variable + `\b`).MatchString(help)
			switch {
			case reads && !slices.Contains(named, command) && (!clients || !strings.Contains(help, "--server")):
				t.Errorf("%s does not say that %s reads %s", name, command, variable)
			case !reads && slices.Contains(named, command):
				t.Errorf("%s says that %s reads %s; its help does not", name, command, variable)
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d variables found: this test reads them wrongly", found)
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
		for _, m := range testLink.FindAllStringSubmatch(strings.Join(d.prose(t), "\n"), -1) {
			if file := path.Join(path.Dir(d.name), m[2]); !slices.Contains(tests[m[1]], file) {
				t.Errorf("%s links %s to %s; it stands in %q", d.name, m[1], file, tests[m[1]])
			}
		}
	}
}

var numbered = regexp.MustCompile(`(?m)^(\d+)\. `)

// numbersOf returns the numbers of the list below a heading of docs/DELIVERY.md.
func numbersOf(t *testing.T, heading string) []string {
	t.Helper()
	_, list, ok := strings.Cut(read(t, "docs/DELIVERY.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/DELIVERY.md has no section %q", heading)
	}
	list, _, _ = strings.Cut(list, "\n## ")
	var out []string
	for _, m := range numbered.FindAllStringSubmatch(list, -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatalf("docs/DELIVERY.md lists nothing below %q", heading)
	}
	return out
}

// TestNaiveFailures holds the table of docs/TESTING.md against the list of
// docs/DELIVERY.md and the rules that the model takes out.
func TestNaiveFailures(t *testing.T) {
	t.Parallel()
	model := read(t, "host/ledger/model_test.go")
	var got []string
	for _, row := range open(t, "docs/TESTING.md").table(t, "naive failures").rows[1:] {
		got = append(got, row[0])
		if !testLink.MatchString(row[1]) {
			t.Errorf("failure %s links to no test", row[0])
		}
		if inModel := strings.Contains(model, "naive "+row[0]+":"); inModel != (row[2] == "yes") {
			t.Errorf("failure %s is in the model: %v; the table says %q", row[0], inModel, row[2])
		}
	}
	if want := numbersOf(t, "How simpler protocols fail"); !slices.Equal(got, want) {
		t.Errorf("the table has the failures %q, docs/DELIVERY.md %q", got, want)
	}
}

// TestRulesOfDelivery wants a test for every rule of docs/DELIVERY.md.
func TestRulesOfDelivery(t *testing.T) {
	t.Parallel()
	var got []string
	for _, row := range open(t, "docs/TESTING.md").table(t, "rules of delivery").rows[1:] {
		got = append(got, row[0])
		if !testLink.MatchString(row[2]) {
			t.Errorf("rule %s links to no test", row[0])
		}
	}
	if want := numbersOf(t, "Rules"); !slices.Equal(got, want) {
		t.Errorf("the table has the rules %q, docs/DELIVERY.md %q", got, want)
	}
}

var logRecord = regexp.MustCompile(`\b(DEBUG|INFO|WARN|ERROR) "([^"]+)"`)

// TestLogRecords looks up the log messages that documents quote.
func TestLogRecords(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, m := range logRecord.FindAllStringSubmatch(strings.Join(d.prose(t), "\n"), -1) {
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

var required = regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`) // without "// indirect"

// TestLibraries looks up every library that go.mod requires in the page that says
// why, and every version of that page in go.mod.
func TestLibraries(t *testing.T) {
	t.Parallel()
	const pageName = "docs/adr/0009-dependencies.md"
	page, mod := read(t, pageName), read(t, "go.mod")
	found := required.FindAllStringSubmatch(mod, -1)
	for _, m := range found {
		parts := strings.Split(regexp.MustCompile(`/v\d+$`).ReplaceAllString(m[1], ""), "/")
		name := parts[len(parts)-1]
		if parts[0] == "github.com" {
			name = parts[2]
		}
		if !regexp.MustCompile(`(?m)^\| [^|]*\b` + regexp.QuoteMeta(name) + `\b`).MatchString(page) {
			t.Errorf("%s does not say why there is %s", pageName, m[1])
		}
	}
	if len(found) == 0 {
		t.Error("go.mod requires nothing: this test reads it wrongly")
	}
	for _, version := range regexp.MustCompile(`\b\d+\.\d+\.\d+\b`).FindAllString(page, -1) {
		if !strings.Contains(mod, " v"+version+"\n") {
			t.Errorf("%s names version %s, which go.mod has not", pageName, version)
		}
	}
}
