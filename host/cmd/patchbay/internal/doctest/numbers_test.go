package doctest

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/sdk"
)

// numbers are the numbers in the prose of documents: words with the number in
// parentheses, and what it has to be. A number that none of them covers fails.
var numbers = []struct {
	document string // "" for all
	words    *regexp.Regexp
	want     func(t *testing.T, got string) string
}{
	{"", regexp.MustCompile(`\bGo (\d+\.\d+)\b`), ofFile("go.mod", `(?m)^go (\d+\.\d+)`)},
	{"", regexp.MustCompile(`\bApache (?:License )?(\d\.\d)\b`), ofFile("LICENSE", `Version (\d\.\d)`)},
	{"", regexp.MustCompile(`\bprotocol version (\d+)\b`), is(strconv.Itoa(sdk.ProtocolVersion))},
	{"", regexp.MustCompile(`\b(127\.0\.0\.1:\d+)\b`), listens},
	{"", regexp.MustCompile(`\bRFC (\d+)\b`), inSource("RFC ")},
	{"", regexp.MustCompile(`\bE\.(164)\b`), inSource("E.")},
	{"", regexp.MustCompile(`\bSHA-(\d+)\b`), inSource("SHA-")},
	{"SECURITY.md", regexp.MustCompile(`the admin token is a file with mode (\d+)`), modeOf("`admin.token`")},
	{"SECURITY.md", regexp.MustCompile(`\| the key \| a file with mode (\d+)`), modeOf("`keyset.json`")},
	{"SECURITY.md", regexp.MustCompile(`keep it at mode (\d+)`), is("0700")}, // TestByHand looks at the directory
	{"docs/ARCHITECTURE.md", regexp.MustCompile(`(\d+) s for the body`), ofFile("host/httpapi/doc.go", `BodyTimeout, (\d+)\*time\.Second`)},
	{"docs/CONFIGURATION.md", regexp.MustCompile(`\(mode (\d+), locked`), is("0700")},
	{"docs/CONFIGURATION.md", regexp.MustCompile(`the path of a socket has (\d+) bytes at most`), constant("host/launch", "maxSocketPath")},
	{"docs/CONFIGURATION.md", regexp.MustCompile(`The host's defaults are (\d+) and`), constant("host/cmd/patchbay/internal/app", "collectAt")},
	{"docs/CONFIGURATION.md", regexp.MustCompile(`The host's defaults are \d+ and (\d+ GiB)`), constant("host/cmd/patchbay/internal/app", "memoryLimit")},
	{"docs/CONFIGURATION.md", regexp.MustCompile(`how an adapter in Go collects garbage: (\d+)`), ofFile("host/launch/spec.go", `"GOGC", "(\d+)"`)},
	{"docs/DELIVERY.md", regexp.MustCompile(`and again (\d+ hours) later`), constant("host/ledger", "auditAgainIn")},
	{"docs/DELIVERY.md", regexp.MustCompile(`callTimeout \+ (\d+ s)\b`), constant("host/ledger", "windowSlack")},
	{"docs/DELIVERY.md", regexp.MustCompile(`\b(7) and "7" are one id`), anything},
	{"docs/DELIVERY.md", regexp.MustCompile(`\b7 and "(7)" are one id`), anything},
	{"docs/DELIVERY.md", regexp.MustCompile(`[Aa]ttempt (?:n\+)?(\d)\b`), anything},
	{"docs/ERRORS.md", regexp.MustCompile(`a redirect that was followed, at most (\w+) times`), constant("sdk/crmhttp", "maxRedirects")},
	{"docs/TESTING.md", regexp.MustCompile(`each but (\d+) there is a test that fails .*; \d+ cannot happen`), withoutTest},
	{"docs/TESTING.md", regexp.MustCompile(`each but \d+ there is a test that fails .*; (\d+) cannot happen`), withoutTest},
	{"CONTRIBUTING.md", regexp.MustCompile(`Functions stay under (\d+) lines`), ofFile(".golangci.yml", `funlen:\n +lines: (\d+)`)},
	{"CONTRIBUTING.md", regexp.MustCompile(`most under (\d+); files`), anything}, // what reviewers look for
	{"CONTRIBUTING.md", regexp.MustCompile(`files around (\d+);`), anything},
	{"docs/ADAPTERS.md", regexp.MustCompile(`1 to (\d+) messages of one conversation`), constant("host/relay", "maxMessages")},
	{"docs/ADAPTERS.md", regexp.MustCompile(`(\d+) ASCII characters`), keyLength},
	{"docs/ADAPTERS.md", regexp.MustCompile(`has up to (\d+) digits`), constant("sdk", "MaxIDBytes")},
	{"docs/ADAPTERS.md", regexp.MustCompile(`1 to (\d+) bytes of text`), constant("sdk", "MaxLogIDBytes")},
	{"docs/ADAPTERS.md", regexp.MustCompile(`only https on port (\d+)`), anything},
	{"docs/ADAPTERS.md", regexp.MustCompile(`\b(1) to \d+ (?:messages|bytes)`), anything},
	{"docs/ADAPTERS.md", regexp.MustCompile(`number of the attempt, from (\d)`), anything},
	{"docs/ADAPTERS.md", regexp.MustCompile(`text such as "(\d+)s"`), anything},
	{"docs/ADAPTERS.md", regexp.MustCompile(`(10,000) characters, `), anything},
	{"docs/PIPEDRIVE.md", regexp.MustCompile(`"(42)-pipedrive"`), anything},
	{"", regexp.MustCompile(`\b([1-5]\d\d)\b`), status},
	{"", regexp.MustCompile(`\b(\d)xx\b`), anything},
}

// inWords are numbers and durations of the code as prose has them.
var inWords = map[string]string{"24 * time.Hour": "24 hours", "time.Second": "1 s", "5": "five", "1 << 30": "1 GiB"}

func anything(_ *testing.T, got string) string { return got }

func is(want string) func(*testing.T, string) string {
	return func(*testing.T, string) string { return want }
}

// constant returns the value of a constant, in words.
func constant(dir, name string) func(*testing.T, string) string {
	return func(t *testing.T, _ string) string {
		t.Helper()
		value := sources(t).constant(t, dir, name)
		if words, ok := inWords[value]; ok {
			return words
		}
		return value
	}
}

// ofFile returns what the pattern finds in a file.
func ofFile(name, pattern string) func(*testing.T, string) string {
	return func(t *testing.T, _ string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(read(t, name))
		if m == nil {
			t.Fatalf("%s has nothing like %s", name, pattern)
		}
		return m[1]
	}
}

// inSource takes what stands behind that word somewhere in the code.
func inSource(before string) func(*testing.T, string) string {
	return func(t *testing.T, got string) string {
		t.Helper()
		for _, name := range files(t, ".go") {
			if !strings.Contains(name, "/doctest/") && strings.Contains(read(t, name), before+got) {
				return got
			}
		}
		return "one that the code names"
	}
}

// modeOf returns the mode of a file in the data directory, by the table that
// TestByHand holds against a host's.
func modeOf(file string) func(*testing.T, string) string {
	return func(t *testing.T, _ string) string {
		t.Helper()
		for _, row := range open(t, "docs/CONFIGURATION.md").table(t, "files").rows {
			if row[0] == file {
				return row[1]
			}
		}
		return "that of a file in dataDir"
	}
}

func listens(t *testing.T, _ string) string {
	t.Helper()
	c, _, err := config.Load(config.Sources{})
	must(t, err)
	return c.Listen
}

// status takes HTTP statuses that somebody sends.
func status(_ *testing.T, got string) string {
	if number, err := strconv.Atoi(got); err == nil && http.StatusText(number) != "" {
		return got
	}
	return "a status of HTTP"
}

// keyLength returns the length of an idempotency key: its beginning, and a hash with
// two characters for each byte.
func keyLength(t *testing.T, _ string) string {
	t.Helper()
	m := regexp.MustCompile(`"(\S+)" \+ hex\.EncodeToString\(h\.Sum\(nil\)\[:(\d+)\]\)`).FindStringSubmatch(read(t, "host/relay/key.go"))
	if m == nil {
		t.Fatal("host/relay/key.go makes the key in another way: this test reads it wrongly")
	}
	hashed, err := strconv.Atoi(m[2])
	must(t, err)
	return strconv.Itoa(len(m[1]) + 2*hashed)
}

// withoutTest returns the failures of simpler protocols that no test shows.
func withoutTest(t *testing.T, _ string) string {
	t.Helper()
	var out []string
	for _, row := range open(t, "docs/TESTING.md").table(t, "naive failures").rows {
		if strings.HasPrefix(row[1], "none: ") {
			out = append(out, row[0])
		}
	}
	return strings.Join(out, " ")
}

// measured are documents whose numbers were measured once; no code has them.
var measured = regexp.MustCompile(`^docs/(adr/.*|PERFORMANCE)\.md$`)

var (
	number    = regexp.MustCompile(`\d+([.,:]\d+)*`)
	listLine  = regexp.MustCompile(`^ *\d+\. `)
	htmlNote  = regexp.MustCompile(`<!--.*?-->`)
	linkBrief = regexp.MustCompile(`\]\([^)]*\)`)
)

// compared are the tables that are compared cell by cell.
var compared = []string{
	"problems", "crm answers", "causes", "settings", "manifest", "exit codes", "files", "metrics", "events", "naive failures", "rules of delivery",
}

// plain returns the lines of a document's prose: without what tests of their own
// hold, which are code spans, the targets of links, and tables that are compared.
func (d *document) plain(t *testing.T) []string {
	t.Helper()
	lines := d.prose(t)
	named := false
	for n, line := range lines {
		if m := comment.FindStringSubmatch(line); m != nil {
			named = slices.Contains(compared, strings.TrimPrefix(m[1], "table: "))
		}
		if named = named && (line == "" || line[0] == '|' || line[0] == '<'); named {
			lines[n] = ""
			continue
		}
		for _, pattern := range []*regexp.Regexp{codeSpan, htmlNote, linkBrief, listLine} {
			line = pattern.ReplaceAllStringFunc(line, func(s string) string { return strings.Repeat(" ", len(s)) })
		}
		lines[n] = line
	}
	return lines
}

// TestNumbers wants every number in prose to be one that the code has, too.
func TestNumbers(t *testing.T) {
	t.Parallel()
	used := make([]bool, len(numbers))
	for _, d := range documents(t) {
		if measured.MatchString(d.name) {
			continue
		}
		for at, line := range d.plain(t) {
			for _, fault := range numberFaults(t, d.name, line, used) {
				t.Errorf("%s: %s", d.at(at), fault)
			}
		}
	}
	for n, entry := range numbers {
		if !used[n] {
			t.Errorf("no line of %s has %s: take it off the list of numbers", cmp.Or(entry.document, "any document"), entry.words)
		}
	}
}

// numberFaults says which numbers of the line are wrong, or not known.
func numberFaults(t *testing.T, document, line string, used []bool) []string {
	t.Helper()
	var faults []string
	covered := make([]bool, len(line))
	for n, entry := range numbers {
		if entry.document != "" && entry.document != document {
			continue
		}
		for _, m := range entry.words.FindAllStringSubmatchIndex(line, -1) {
			if slices.Contains(covered[m[2]:m[3]], true) {
				continue // an earlier entry's
			}
			used[n] = true
			for at := m[2]; at < m[3]; at++ {
				covered[at] = true
			}
			if got := line[m[2]:m[3]]; entry.want(t, got) != got {
				faults = append(faults, fmt.Sprintf("%q should have %s", line[m[0]:m[1]], entry.want(t, got)))
			}
		}
	}
	for _, m := range number.FindAllStringIndex(line, -1) {
		if !covered[m[0]] {
			faults = append(faults, fmt.Sprintf("nothing holds the number %s: add its words to the list of numbers", line[m[0]:m[1]]))
		}
	}
	return faults
}

func TestNumbersThatAreWrong(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"You need Go 1.25, or later":            "should have 1.2",
		"it waits 17 seconds":                   "the number 17",
		"listens on 127.0.0.1:8081":             "should have 127.0.0.1:8080",
		"answers 299":                           "should have a status",
		"answers 200 or 201, at 127.0.0.1:8080": "",
	} {
		got := strings.Join(numberFaults(t, "README.md", line, make([]bool, len(numbers))), "; ")
		if (says == "") != (got == "") || !strings.Contains(got, says) {
			t.Errorf("%q: %q, want %q", line, got, says)
		}
	}
}
