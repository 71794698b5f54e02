package doctest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/cli"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// These are the parts of TestByHand that ask the host which the commands of the
// README have started.

// get returns the answer to a GET without a token.
func (s *session) get(t *testing.T, path string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.host+path, http.NoBody)
	must(t, err)
	req.Header.Set("Accept", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }() // only read
	body, err = io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, body
}

var (
	routeInText = regexp.MustCompile(`\b(GET|POST|PUT|PATCH|DELETE) (/[\w{}<>/.-]+)`)
	pathParam   = regexp.MustCompile(`\{\w+\}|<\w+>`)
)

// routes looks up the paths that documents name in the host's OpenAPI document, and
// the pages among them that need no token on the host itself.
func (s *session) routes(t *testing.T) {
	var openapi struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	_, body := s.get(t, "/openapi.json")
	must(t, json.Unmarshal(body, &openapi))
	known := map[string]bool{}
	for path, methods := range openapi.Paths {
		for method := range methods {
			known[strings.ToUpper(method)+" "+pathParam.ReplaceAllString(path, "*")] = true
		}
	}
	found := 0
	lookUp := func(where, method, path string) {
		found++
		if !known[method+" "+pathParam.ReplaceAllString(strings.TrimRight(path, "."), "*")] {
			t.Errorf("%s: the host has no route %s %s", where, method, path)
		}
	}
	for _, d := range documents(t) {
		for n, line := range d.lines {
			for _, m := range routeInText.FindAllStringSubmatch(line, -1) {
				lookUp(d.at(n), m[1], m[2])
			}
		}
		for _, span := range d.spans(t) {
			if strings.HasPrefix(span.text, "/") {
				lookUp(span.at(), http.MethodGet, span.text)
				if status, _ := s.get(t, span.text); !pathParam.MatchString(span.text) && status != http.StatusOK {
					t.Errorf("%s: GET %s answers %d", span.at(), span.text, status)
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d routes found: this test reads them wrongly", found)
	}
}

// pages holds the pages at /problems/<code> against the table of docs/ERRORS.md.
func (s *session) pages(t *testing.T) {
	for _, row := range open(t, "docs/ERRORS.md").table(t, "problems").rows[1:] {
		name := strings.Trim(row[0], "`")
		status, body := s.get(t, "/problems/"+name)
		var page httpapi.ProblemDoc
		if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK {
			t.Errorf("/problems/%s answers %d, %v", name, status, err)
			continue
		}
		shown := []string{code(page.Code), strconv.Itoa(page.Status), page.Class, page.Source, cell(page.Meaning), cell(page.Remedy)}
		row[2] = strings.TrimSuffix(row[2], "*")
		if !slices.Equal(shown, row) {
			t.Errorf("/problems/%s says\n\t%q\nbut docs/ERRORS.md\n\t%q", name, shown, row)
		}
	}
}

// commands runs every command that documents name in their text and that talks to
// a host, in the order of the documents. The host must understand it: it is done, or
// refused for the state of things. Of a command that is named without what it needs,
// and of one that needs a file of the reader's, TestCommands looks at the words.
func (s *session) commands(t *testing.T) {
	var list struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	_, out := s.run(t, "message", "list", "--tenant", "acme", "--json")
	must(t, json.Unmarshal([]byte(out), &list))
	ran := 0
	for _, c := range commandsOf(t, "patchbay") {
		path, help := leads(t, c.words[1:])
		if c.block || !strings.Contains(help, "--server") || !s.hasFiles(c.words) {
			continue
		}
		args := slices.Clone(c.words[1:])
		for n, word := range args {
			if word == "ID" {
				args[n] = list.Items[0].ID
			}
		}
		exit, out := s.run(t, args...)
		switch {
		case exit == cli.ExitOK, exit == cli.ExitRefused && !blamesCaller(out):
			ran++
		case exit == cli.ExitUsage && len(path) == len(args): // its name alone
		default:
			t.Errorf("%s: %s ends with %d:\n%s", c.where, c, exit, out)
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands run: this test reads them wrongly", ran)
	}
}

// blamesCaller reports whether the host refused the words of a command, not what it
// asks for: a tenant of the reader's need not be there.
func blamesCaller(out string) bool {
	return strings.Contains(out, string(fault.InvalidFields)) || strings.Contains(out, string(fault.MalformedRequest))
}

// hasFiles reports whether the README has made all files that the words name.
func (s *session) hasFiles(words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool {
		name, isFile := strings.CutPrefix(word, "@")
		_, err := os.Stat(filepath.Join(s.dir, name))
		return isFile && err != nil
	})
}

// notEnforced holds what docs/CONFIGURATION.md says of declared limits against what
// the host says of an adapter that declares them.
func (s *session) notEnforced(t *testing.T) {
	_, out := s.run(t, "adapter", "show", "examplecrm")
	if !strings.Contains(out, "NOT ENFORCED") {
		t.Errorf("patchbay adapter show prints\n%s", out)
	}
	var info struct {
		Versions []struct {
			NotEnforced []string `json:"notEnforced"`
		} `json:"versions"`
	}
	_, out = s.run(t, "adapter", "show", "examplecrm", "--json")
	must(t, json.Unmarshal([]byte(out), &info))
	text := read(t, "docs/CONFIGURATION.md")
	_, text, _ = strings.Cut(text, "What this version does not enforce or use, ")
	text, _, _ = strings.Cut(text, "\n")
	for _, key := range info.Versions[0].NotEnforced {
		if !strings.Contains(text, code(key)) {
			t.Errorf("docs/CONFIGURATION.md does not say that %s is not enforced", key)
		}
	}
	if len(info.Versions[0].NotEnforced) == 0 {
		t.Error("the host says that everything is enforced")
	}
}

// environment holds the variables that docs/CONFIGURATION.md names against those of
// an adapter's process. It is read as Linux shows it.
func (s *session) environment(t *testing.T) {
	var info struct {
		Processes []struct {
			Pid int `json:"pid"`
		} `json:"processes"`
	}
	_, out := s.run(t, "adapter", "show", "examplecrm", "--json")
	must(t, json.Unmarshal([]byte(out), &info))
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", info.Processes[0].Pid))
	must(t, err)
	var has []string
	for pair := range strings.SplitSeq(strings.TrimRight(string(raw), "\x00"), "\x00") {
		if name, _, _ := strings.Cut(pair, "="); !strings.HasPrefix(name, "PLUGIN_") { // go-plugin's
			has = append(has, name)
		}
	}
	want := []string{"EXAMPLECRM_BASE_URL"} // by the README's patchbay.yaml
	for _, row := range open(t, "docs/CONFIGURATION.md").table(t, "variables of adapters").rows[1:] {
		for _, m := range codeSpan.FindAllStringSubmatch(row[0], -1) {
			want = append(want, m[1])
		}
	}
	slices.Sort(has)
	slices.Sort(want)
	if !slices.Equal(has, want) {
		t.Errorf("an adapter's process has the variables\n\t%q\ndocs/CONFIGURATION.md says\n\t%q", has, want)
	}
}
