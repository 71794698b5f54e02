package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the root of the repository, seen from this package.
const root = "../../../../.."

// TestListsFitTheCode holds the lists to the code: what a mutation takes out stands
// there exactly once, and its test exists.
func TestListsFitTheCode(t *testing.T) {
	t.Parallel()
	all := listed(t)
	if err := fits(all, root); err != nil {
		t.Error(err)
	}
	for _, m := range all {
		if !strings.Contains(tests(t, m.pkg), "\nfunc "+m.test+"(t *testing.T) {\n") {
			t.Errorf("%s: there is no %s in %s", m.rule, m.test, m.pkg)
		}
	}
}

func listed(t *testing.T) []mutation {
	t.Helper()
	all, err := mutations()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// tests returns the text of a package's tests.
func tests(t *testing.T, pkg string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range names {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(part)
	}
	return text.String()
}

// TestEveryRuleIsTakenOut: each rule of docs/DELIVERY.md is taken out somewhere, and
// a heading names no rule and no failure that is not there.
func TestEveryRuleIsTakenOut(t *testing.T) {
	t.Parallel()
	rules, failures := numbered(t, "Rules"), numbered(t, "How simpler protocols fail")
	heading := regexp.MustCompile(`^(?:API|CRM|(rule|failure) (\d+)): \S`)
	var out []string
	for _, m := range listed(t) {
		parts := heading.FindStringSubmatch(m.rule)
		if parts == nil {
			t.Errorf("%q begins neither with rule N: or failure N:, nor with API: or CRM:", m.rule)
			continue
		}
		switch kind, number := parts[1], parts[2]; {
		case kind == "rule" && !slices.Contains(rules, number), kind == "failure" && !slices.Contains(failures, number):
			t.Errorf("%q: docs/DELIVERY.md has no such number", m.rule)
		case kind == "rule":
			out = append(out, number)
		}
	}
	for _, rule := range rules {
		if !slices.Contains(out, rule) {
			t.Errorf("rule %s is taken out nowhere", rule)
		}
	}
}

// numbered returns the numbers of the list below a heading of docs/DELIVERY.md.
func numbered(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/DELIVERY.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for _, item := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(section, -1) {
		out = append(out, item[1])
	}
	if !found || len(out) < 10 {
		t.Fatalf("docs/DELIVERY.md has %d numbers below %q", len(out), heading)
	}
	return out
}

const good = `// A comment.

# rule 1: the first
file a/b.go
test ./a TestB
-	one
-
-	two
+	three

# API: the second
file a/b.go
test ./a TestC
-gone
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse("x", good)
	want := []mutation{
		{"rule 1: the first", "a/b.go", "./a", "TestB", "\tone\n\n\ttwo\n", "\tthree\n"},
		{"API: the second", "a/b.go", "./a", "TestC", "gone\n", ""},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, says string }{
		"no heading":      {"# rule 1: the first\n", "", "x:3: a heading must come first"},
		"no file":         {"file a/b.go\ntest ./a TestB", "test ./a TestB", "rule 1: the first: has no file"},
		"a file outside":  {"file a/b.go\ntest ./a TestB", "file ../b.go\ntest ./a TestB", "has no file, or one that is not named from the root"},
		"two files":       {"file a/b.go\ntest ./a TestB", "file a/b.go\nfile a/c.go\ntest ./a TestB", "x:5: want"},
		"no test":         {"test ./a TestB\n", "", "has no test"},
		"a subtest":       {"TestB", "TestB/c", "no top-level test"},
		"no such line":    {"file a/b.go\ntest ./a TestB", "file a/b.go\nbench ./a TestB", "x:5: want"},
		"another package": {"./a TestB", "a TestB", "does not begin with ./"},
		"finds nothing":   {"-gone\n", "", "API: the second: finds nothing"},
		"changes nothing": {"-gone\n", "-gone\n+gone\n", "changes nothing"},
		"out of order":    {"-gone\n", "-gone\n+here\n-too\n", "a - line stands after a + line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse("x", strings.Replace(good, c.old, c.new, 1)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q in it", err, c.says)
			}
		})
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	const text = "a\n\tb\nc\n"
	for name, c := range map[string]struct{ find, put, want string }{
		"a line":             {"\tb\n", "\tx\n", "a\n\tx\nc\n"},
		"the first":          {"a\n", "", "\tb\nc\n"},
		"the last two":       {"\tb\nc\n", "x\n", "a\nx\n"},
		"a part of a line":   {"b\n", "x\n", ""},
		"not there":          {"d\n", "x\n", ""},
		"not in this order":  {"c\n\tb\n", "x\n", ""},
		"a blank is no less": {"\tb \n", "x\n", ""},
	} {
		m := mutation{file: "f", find: c.find, put: c.put}
		if got, err := m.apply(text); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	m := mutation{file: "f", find: "a\n", put: "x\n"}
	if _, err := m.apply("a\nb\na\n"); err == nil || !strings.Contains(err.Error(), "2 times") {
		t.Errorf("of two places: %v", err)
	}
}
