package stranger

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/scaffold"
)

// TestModules takes every module the way of its author, step by step.
func TestModules(t *testing.T) {
	t.Parallel()
	for _, m := range modules {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), m.name)
			must(t, os.Mkdir(dir, 0o700))
			m.write(t, m, dir)
			a := &author{module: m, dir: dir, bin: filepath.Join(patchbay(t), "patchbay")}
			a.build(t)
			a.sums(t)
			a.pullsIn(t)
			a.pack(t)
			a.logs(t)
		})
	}
}

// author is somebody at work in the folder of a module.
type author struct {
	module
	dir string
	bin string // the built command
}

// build builds and tests the module.
func (a *author) build(t *testing.T) {
	t.Helper()
	run(t, buildLimit, a.dir, "go", "vet", "./...")
	run(t, buildLimit, a.dir, "go", "test", "./...")
	run(t, buildLimit, a.dir, "go", "build", "-trimpath", "-o", "build/"+a.name, ".")
	run(t, buildLimit, a.dir, "go", "build", "-trimpath", "-o", "build/fakecrm", a.fake)
}

// sums has the go command look at the go.mod of every module that has a say in a
// version: go.sum must know them all. That this machine lacks one is no fault.
func (a *author) sums(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepLimit)
	defer cancel()
	out, err := command(ctx, a.dir, "go", "list", "-m", "all").CombinedOutput()
	if err != nil && !strings.Contains(string(out), "module lookup disabled by GOPROXY=off") || strings.Contains(string(out), "missing go.sum entry") {
		t.Errorf("go list -m all: %v\n%s", err, out)
	}
}

// pullsIn holds what the program is made of against the list.
func (a *author) pullsIn(t *testing.T) {
	t.Helper()
	deps := strings.Fields(run(t, stepLimit, a.dir, "go", "list", "-deps", "."))
	if !slices.Contains(deps, scaffold.SDKModule+"/sdk/serve") {
		t.Errorf("go list -deps shows no SDK: this test reads it wrongly")
	}
	for _, pkg := range deps {
		if strings.HasPrefix(pkg, scaffold.SDKModule+"/host") {
			t.Errorf("the adapter is made of %s: an author inherits nothing of the host", pkg)
		}
	}
	made := madeOf(t, filepath.Join(a.dir, "build", a.name))
	for _, mod := range made {
		if scaffold.PulledIn[mod] == "" {
			t.Errorf("the adapter is made of %s: give a reason for it in scaffold.PulledIn, or get rid of it", mod)
		}
	}
	for mod := range scaffold.PulledIn {
		if a.exact && !slices.Contains(made, mod) {
			t.Errorf("the adapter is not made of %s: take it off scaffold.PulledIn", mod)
		}
	}
}

// pack makes the package, by the easy way.
func (a *author) pack(t *testing.T) {
	t.Helper()
	var p struct{ Name, Version, Dir string }
	out := run(t, stepLimit, a.dir, a.bin, "adapter", "pack", "manifest.json", "build/"+a.name, "--json")
	must(t, json.Unmarshal([]byte(out), &p))
	if want := filepath.Join("dist", "adapters", a.name, p.Version); p.Name != a.name || p.Dir != want {
		t.Errorf("packed %+v, want %s", p, want)
	}
}

// logs runs a host with the package, and logs messages into the fake CRM.
func (a *author) logs(t *testing.T) {
	t.Helper()
	crm := a.startCRM(t)
	config, data := filepath.Join(a.dir, "host.yaml"), filepath.Join(a.dir, "var")
	must(t, os.WriteFile(config, []byte(a.configuration(crm, filepath.Join(a.dir, "dist", "adapters"), data)), 0o600))
	run(t, stepLimit, a.dir, a.bin, "doctor", "--config", config)
	server := a.startHost(t, config)

	header := filepath.Join(a.dir, "header.txt")
	must(t, os.WriteFile(header, []byte(a.header+"\n"), 0o600))
	client := func(args ...string) string {
		t.Helper()
		args = append(args, "--server", server, "--token", "@"+filepath.Join(data, "admin.token"))
		return strings.TrimSpace(run(t, stepLimit, a.dir, a.bin, args...))
	}
	client("tenant", "create", "demo")
	client("adapter", "enable", a.name, "--tenant", "demo")
	add := append([]string{"message", "add", "message.json", "--tenant", "demo", "--adapter", a.name, "--auth-header", "@" + header}, a.add...)
	first := client(add...)
	if again := client(add...); first == "" || again != first {
		t.Errorf("the message has log ID %q, and %q when it is sent again", first, again)
	}
	if n := a.held(t, crm); n != 1 {
		t.Errorf("the CRM holds %d records of one message", n)
	}
	var listed struct {
		Items []struct{ State, LogID string }
	}
	must(t, json.Unmarshal([]byte(client("message", "list", "--tenant", "demo", "--json")), &listed))
	if len(listed.Items) != 1 || listed.Items[0].State != "logged" || listed.Items[0].LogID != first {
		t.Errorf("the ledger holds %+v, want one entry with log ID %s", listed.Items, first)
	}
}

// startCRM runs the module's fake CRM and returns its URL.
func (a *author) startCRM(t *testing.T) (url string) {
	t.Helper()
	cmd := command(context.WithoutCancel(t.Context()), a.dir, filepath.Join(a.dir, "build", "fakecrm"), "127.0.0.1:0", crmKey)
	start(t, cmd, func(line string) bool {
		url = strings.TrimSpace(line)
		return strings.HasPrefix(url, "http://127.0.0.1:")
	})
	return url
}

// startHost runs a host and returns its URL.
func (a *author) startHost(t *testing.T, config string) (url string) {
	t.Helper()
	cmd := command(context.WithoutCancel(t.Context()), a.dir, a.bin, "serve", "--config", config)
	start(t, cmd, func(line string) bool {
		var record struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &record) != nil || record.Msg != "host started" {
			return false
		}
		url = "http://" + record.Address
		return true
	})
	return url
}
