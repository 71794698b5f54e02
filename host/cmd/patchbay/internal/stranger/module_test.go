package stranger

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/scaffold"
)

// module is the module of an adapter. It must bring along
//
//   - the adapter as its main package in the root, with tests,
//   - manifest.json and message.json, a message to be logged,
//   - a fake of its CRM, run as "FAKE ADDRESS KEY", which takes that key in the
//     header of the module, lists its records, and prints its URL on a line of its
//     own once it can be reached.
type module struct {
	name string // the adapter's, as in the manifest
	path string // of the Go module
	// write puts the module into dir, which is there and empty.
	write func(t *testing.T, m module, dir string)
	// fake is the package of the fake CRM's command.
	fake string
	// header is the Authorization header by which the fake knows its key.
	header string
	// add are further flags of "patchbay message add" that its CRM needs.
	add []string
	// records is the path below which the fake lists its records, and list the
	// member of the answer that holds them; "" when the answer is the list.
	records, list string
	// exact says that the program is made of all that package scaffold lists, not
	// of some of it.
	exact bool
}

// modules are those under test.
var modules = []module{
	{
		name: "acme", path: "example.com/acme", write: generated, exact: true, fake: "./cmd/fakecrm", header: bearer,
		add: []string{"--contact-id", "7", "--field", "project=apollo"}, records: "/notes", list: "notes",
	},
	{
		name: "tiny", path: "example.org/nobody/tiny", write: kept, fake: "./cmd/fakecrm", header: bearer,
		add: []string{"--contact-id", "Ada"}, records: "/lines", list: "lines",
	},
	{
		name: "cardfile", path: "example.com/cardfile", write: kept, fake: "./cmd/cardfile-server",
		header: "Basic " + base64.StdEncoding.EncodeToString([]byte(crmKey+":")),
		add:    []string{"--contact-id", "7", "--contact-name", "Ada Lovelace", "--field", "folder=Inbox"}, records: "/debug/cards",
	},
}

// crmKey is the key that the fake CRMs take, and bearer the usual header for it.
const (
	crmKey = "crm-secret"
	bearer = "Bearer " + crmKey
)

// generated writes the module of "patchbay adapter new".
func generated(t *testing.T, m module, dir string) {
	t.Helper()
	must(t, os.Remove(dir))
	run(t, stepLimit, filepath.Dir(dir), filepath.Join(patchbay(t), "patchbay"),
		"adapter", "new", m.name, "--module", m.path, "--replace", absolute(t, repository))
}

// kept copies a module from testdata, and gives it the go.mod and go.sum that it
// would have today.
func kept(t *testing.T, m module, dir string) {
	t.Helper()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", m.name))))
	goMod, goSum, err := scaffold.Requirements(scaffold.Module{Name: m.name, Path: m.path, Checkout: absolute(t, repository)})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "go.mod"), goMod, 0o600), os.WriteFile(filepath.Join(dir, "go.sum"), goSum, 0o600))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	must(t, err)
	return path
}

// madeOf returns the modules of others that a program is made of.
func madeOf(t *testing.T, program string) []string {
	t.Helper()
	var out []string
	lines := bufio.NewScanner(strings.NewReader(run(t, stepLimit, ".", "go", "version", "-m", program)))
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "dep" && words[1] != scaffold.SDKModule {
			out = append(out, words[1])
		}
	}
	if len(out) == 0 {
		t.Fatal("go version -m shows no modules: this test reads it wrongly")
	}
	return out
}

// held returns how many records the module's fake CRM holds.
func (m module) held(t *testing.T, crm string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, crm+m.records, nil)
	must(t, err)
	req.Header.Set("Authorization", m.header)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: stepLimit}
	resp, err := client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	must(t, err)
	answer := map[string]json.RawMessage{"": text}
	if m.list != "" {
		must(t, json.Unmarshal(text, &answer))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(answer[m.list], &list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the fake CRM answered %s: %s (%v)", resp.Status, text, err)
	}
	return len(list)
}

// configuration is that of a host which finds the module's package and its fake
// CRM. JSON is YAML too.
func (m module) configuration(crm, packages, data string) string {
	return fmt.Sprintf(`{"listen": "127.0.0.1:0", "dataDir": %q, "adaptersDirs": [%q], "logFormat": "json",
  "adapters": {%q: {"env": {%q: %q}, "allowPrivate": ["127.0.0.1"]}}}`,
		data, packages, m.name, strings.ToUpper(strings.ReplaceAll(m.name, "-", "_"))+"_BASE_URL", crm)
}
