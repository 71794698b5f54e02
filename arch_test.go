// Package patchbay holds the rules of who may import whom, as a test.
package patchbay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/patchbay-crm/patchbay/"

// mayImport lists, for every package, the packages of this module that it may
// import. A package imports only what stands further up in this list: errors, the
// contract, data, seams, logic, edges, wiring. Test files are free to import more.
var mayImport = []struct{ pkg, imports string }{
	// errors and contract: what an adapter author compiles against
	{"sdk/fault", ""},
	{"sdk/internal/callstate", ""},
	{"sdk", "sdk/fault sdk/internal/callstate"},
	{"sdk/proto/patchbay/adapter/v1", ""},
	// the author's tools
	{"sdk/crmhttp", "sdk sdk/fault sdk/internal/callstate"},
	{"sdk/render", "sdk"},
	{"sdk/rpc", "sdk sdk/fault sdk/internal/callstate sdk/proto/patchbay/adapter/v1"},
	{"sdk/serve", "sdk sdk/fault sdk/rpc"},
	{"sdk/sdktest", "sdk sdk/fault sdk/internal/callstate sdk/proto/patchbay/adapter/v1 sdk/rpc sdk/serve"},
	// data: pure, no I/O
	{"host/strictjson", ""},
	{"host/manifest", "host/strictjson sdk sdk/fault"},
	{"host/ledger", "sdk/fault"},
	// seams
	{"host/store", "host/ledger"},
	{"host/seal", ""},
	// who and what
	{"host/catalog", "host/manifest host/strictjson sdk/fault"},
	{"host/config", "host/manifest host/strictjson"},
	{"host/tenant", "host/catalog host/ledger host/manifest host/store host/strictjson sdk sdk/fault"},
	// logic
	{"host/supervisor", "sdk/fault"},
	{"host/relay", "host/ledger host/manifest host/store host/strictjson sdk sdk/fault sdk/rpc"},
	// edges
	{"host/store/storetest", "host/ledger host/store sdk/fault"},
	{"host/store/memory", "host/ledger host/store"},
	{"host/store/sqlite", "host/ledger host/store"},
	{"host/launch", "host/supervisor sdk sdk/fault sdk/rpc"},
	{"host/httpapi", "host/catalog host/ledger host/manifest host/relay host/store host/strictjson host/tenant sdk sdk/fault"},
	// wiring: the command alone imports everything
	{"host/cmd/patchbay", "*"},
	{"plugins", "plugins sdk"},
}

// forbidden are the rules that hold through any number of steps: no package from
// may reach one under to; "*" is every package of another module.
var forbidden = []struct{ from, to, why string }{
	{"sdk/...", module + "host", "an adapter author inherits nothing of the host"},
	{"plugins/...", module + "host", "a bundled adapter is written like anyone else's"},
	{"sdk/fault", "*", "the error type is standard library only"},
	{"sdk/internal/callstate", "*", "the contract is standard library only"},
	{"host/ledger", "*", "the state table is pure: no driver, no transport"},
	{"host/supervisor", "github.com/hashicorp/go-plugin", "the supervisor keeps processes, whatever starts them"},
	{"host/supervisor", "google.golang.org/grpc", "the supervisor keeps processes, whatever they speak"},
	{"host/httpapi", module + "host/launch", "the edge never reaches around the relay to a process"},
	{"host/httpapi", module + "host/supervisor", "the edge never reaches around the relay to a process"},
	{"host/store/sqlite", module + "host/store/memory", "drivers never import each other"},
	{"host/store/memory", module + "host/store/sqlite", "drivers never import each other"},
	{"host/store", "modernc.org/sqlite", "nothing above the seam knows which driver it has"},
	{"host/relay", "modernc.org/sqlite", "nothing above the seam knows which driver it has"},
}

// pluginUsers are the only packages that import hashicorp/go-plugin themselves.
var pluginUsers = []string{"host/launch", "sdk/rpc", "sdk/serve"}

// goPackage is what "go list -json" says of one package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		if name, ok := strings.CutPrefix(p.ImportPath, module); ok {
			p.ImportPath = name
			all = append(all, p)
		}
	}
}

// under reports whether pkg is the folder or below it.
func under(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// allowed returns the imports that the list allows pkg, and whether it is listed.
func allowed(pkg string) (imports []string, listed bool) {
	best := ""
	for _, rule := range mayImport {
		if under(pkg, rule.pkg) && len(rule.pkg) > len(best) {
			best, imports = rule.pkg, strings.Fields(rule.imports)
		}
	}
	return imports, best == pkg || best == "plugins" || under(best, "host/cmd/patchbay")
}

func TestImportsFollowTheList(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		imports, listed := allowed(p.ImportPath)
		if !listed {
			t.Errorf("%s is not in the list of arch_test.go: say what it may import", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			name := strings.TrimPrefix(i, module)
			if name == i || permits(imports, p.ImportPath, name) {
				continue
			}
			t.Errorf("%s imports %s, which the list of arch_test.go does not allow", p.ImportPath, name)
		}
	}
}

// permits reports whether one of the allowed imports covers name. A package may
// always import the internal packages below itself.
func permits(imports []string, pkg, name string) bool {
	if under(name, pkg+"/internal") {
		return true
	}
	for _, i := range imports {
		if i == "*" || i == name || ((i == "plugins" || (i == "sdk" && under(pkg, "plugins"))) && under(name, i)) {
			return true
		}
	}
	return false
}

func TestForbiddenArrows(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		for _, rule := range forbidden {
			tree, whole := strings.CutSuffix(rule.from, "/...")
			if p.ImportPath != tree && (!whole || !under(p.ImportPath, tree)) {
				continue
			}
			for _, dep := range p.Deps {
				foreign := strings.Contains(strings.Split(dep, "/")[0], ".") && !strings.HasPrefix(dep, module)
				if under(dep, rule.to) || (rule.to == "*" && foreign) {
					t.Errorf("%s reaches %s: %s", p.ImportPath, dep, rule.why)
				}
			}
		}
	}
}

func TestOnlyTheWireKnowsGoPlugin(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range listPackages(t) {
		for _, i := range p.Imports {
			if under(i, "github.com/hashicorp/go-plugin") {
				seen[p.ImportPath] = true
			}
		}
	}
	for _, user := range pluginUsers {
		if !seen[user] {
			t.Errorf("%s no longer imports go-plugin: take it off the list", user)
		}
		delete(seen, user)
	}
	for pkg := range seen {
		t.Errorf("%s imports go-plugin: only %s may", pkg, strings.Join(pluginUsers, ", "))
	}
}
