package doctest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The parts of "go" that documents speak of, and the flags of "go test" that take
// the names of tests, or nothing that has to be looked up.
var (
	goParts   = []string{"test", "build", "run", "vet", "doc", "list", "get", "install", "mod"}
	goNames   = []string{"-run", "-fuzz", "-bench", "-skip"}
	goWords   = []string{"-fuzztime", "-count", "-timeout", "-benchtime", "-o", "-tags"}
	goFlags   = []string{"-race", "-v", "-short", "-all", "-benchmem", "-trimpath"}
	ourFolder = regexp.MustCompile(`^\.(/[\w./-]*)?$`)
)

// TestGoCommands looks up the packages, tests and flags that commands for go name.
func TestGoCommands(t *testing.T) {
	t.Parallel()
	for _, c := range commandsOf(t, "go") {
		for _, fault := range goFaults(sources(t), c.words[1:]) {
			t.Errorf("%s: %s: %s", c.where, c, fault)
		}
	}
}

// goFaults says what is wrong with the words behind "go".
func goFaults(s *source, words []string) []string {
	var faults []string
	if len(words) == 0 || !slices.Contains(goParts, words[0]) {
		return []string{"documents of this repository do not speak of it"}
	}
	folders := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !ourFolder.MatchString(w) })
	for _, folder := range folders {
		if !slices.ContainsFunc(s.below(folder), func(string) bool { return true }) {
			faults = append(faults, "there is no package "+folder)
		}
	}
	for n := 1; n < len(words); n++ {
		word := words[n]
		switch {
		case !strings.HasPrefix(word, "-") || slices.Contains(goFlags, word):
		case slices.Contains(goWords, word):
			n++
		case slices.Contains(goNames, word) && n+1 < len(words):
			n++
			faults = append(faults, testFaults(s, folders, words[n])...)
		default:
			for _, folder := range folders {
				if !slices.ContainsFunc(s.below(folder), func(dir string) bool { return slices.Contains(s.flags[word], dir) }) {
					faults = append(faults, "the tests of "+folder+" have no flag "+word)
				}
			}
		}
	}
	return faults
}

// testFaults says that no package of the folders has a test that the pattern
// names. "^$" names none, and "." all.
func testFaults(s *source, folders []string, pattern string) []string {
	name := strings.Trim(pattern, "^$")
	if name == "" || name == "." {
		return nil
	}
	for _, folder := range folders {
		for _, dir := range s.below(folder) {
			if slices.Contains(s.testedIn(name), dir) {
				return nil
			}
		}
	}
	return []string{"there is no test " + name + " in " + strings.Join(folders, ", ")}
}

// below returns the packages that a folder of the command line names: itself, or
// all below it.
func (s *source) below(folder string) []string {
	top, all := strings.CutSuffix(folder, "/...")
	top = path.Clean(top)
	var out []string
	for dir := range s.declared {
		if dir == top || (all && (top == "." || strings.HasPrefix(dir, top+"/"))) {
			out = append(out, dir)
		}
	}
	return out
}

func TestGoFaults(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"test ./sdk/...":                  "",
		"test -race ./host/relay/...":     "",
		"test .":                          "",
		"test ./host/nowhere":             "no package ./host/nowhere",
		"test ./sdk/render -update":       "",
		"test ./host/relay -update":       "no flag -update",
		"test . -run TestForbiddenArrows": "",
		"test . -run TestThatIsNot":       "no test TestThatIsNot",
		"test ./sdk -run TestModelHolds":  "no test TestModelHolds",
		"tset .":                          "do not speak",
	} {
		got := strings.Join(goFaults(sources(t), strings.Fields(line)), "; ")
		if (says == "") != (got == "") || !strings.Contains(got, says) {
			t.Errorf("go %s: %q, want %q", line, got, says)
		}
	}
}

// TestKindsOfTests holds the table of kinds in docs/TESTING.md: the command beside
// an example runs the example's package.
func TestKindsOfTests(t *testing.T) {
	t.Parallel()
	const name = "docs/TESTING.md"
	s := sources(t)
	for _, row := range open(t, name).table(t, "kinds").rows[1:] {
		links := testLink.FindAllStringSubmatch(row[2], -1)
		if len(links) == 0 {
			t.Errorf("%s: the row %q links to no test", name, row[0])
		}
		run := false
		for _, m := range codeSpan.FindAllStringSubmatch(row[3], -1) {
			for _, words := range typed(m[1]) {
				if words[0] == "make" {
					run = true
				}
				for _, word := range words {
					if ourFolder.MatchString(word) {
						run = run || slices.ContainsFunc(links, func(link []string) bool {
							return slices.Contains(s.below(word), path.Join("docs", path.Dir(link[2])))
						})
					}
				}
			}
		}
		if !run && row[3] != "see below" {
			t.Errorf("%s: the command of the row %q runs none of its examples", name, row[0])
		}
	}
}
