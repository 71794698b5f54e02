package scaffold

import (
	"bytes"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// repository is the root of the repository, seen from this package.
const repository = "../../../../.."

// written writes a module and returns its files by path.
func written(t *testing.T, m Module) (Written, map[string]string) {
	t.Helper()
	m.Dir = t.TempDir()
	w, err := Write(m)
	if err != nil {
		t.Fatal(err)
	}
	if w.Dir != filepath.Join(m.Dir, m.Name) {
		t.Errorf("it lies in %s", w.Dir)
	}
	out := map[string]string{}
	if err := filepath.WalkDir(w.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(w.Dir, path)
		out[name] = string(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return w, out
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ module, path, env, display, egress string }{
		"zendesk":  {"", "example.com/zendesk", "ZENDESK", "Zendesk", "*.zendesk.example"},
		"my-crm-2": {"", "example.com/my-crm-2", "MY_CRM_2", "My Crm 2", "*.my-crm-2.example"},
		"x--y-":    {"zzz.example/acme/Acme", "zzz.example/acme/Acme", "X__Y_", "X Y", "*.x--y.example"},
		"acme":     {"github.com/me/acme", "github.com/me/acme", "ACME", "Acme", "*.acme.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, files := written(t, Module{Name: name, Path: c.module, Checkout: repository})
			if w.Name != name || w.Path != c.path || !w.Ready {
				t.Errorf("Write = %+v", w)
			}
			m, err := manifest.Parse([]byte(files["manifest.json"]))
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != name || m.DisplayName != c.display || !slices.Equal(m.Run.Egress, []string{c.egress}) || !slices.Equal(m.Run.Env, []string{c.env + "_BASE_URL"}) {
				t.Errorf("the manifest is of %q %q, egress %q, env %q", m.Name, m.DisplayName, m.Run.Egress, m.Run.Env)
			}
			if !strings.Contains(files["adapter.go"], `crmhttp.FromEnv("`+c.env+`")`) || !strings.Contains(files["patchbay.yaml"], c.env+"_BASE_URL") {
				t.Error("the adapter and the configuration do not name the same variable")
			}
			for file, text := range files {
				without := strings.NewReplacer(c.path, "", "github.com/patchbay-crm/patchbay", "").Replace(text)
				if name != "acme" && strings.Contains(strings.ToLower(without), "acme") {
					t.Errorf("%s still speaks of the template's adapter", file)
				}
				if strings.Contains(text, "scaffold") {
					t.Errorf("%s speaks of the template", file)
				}
				if tidy, err := format.Source([]byte(text)); filepath.Ext(file) == ".go" && (err != nil || !bytes.Equal(tidy, []byte(text))) {
					t.Errorf("%s is not formatted: %v", file, err)
				}
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	_, files := written(t, Module{Name: "acme", Checkout: repository})
	want := []string{
		".gitignore", "README.md", "adapter.go", "adapter_test.go", "cmd/fakecrm/main.go", "fakecrm/fakecrm.go",
		"go.mod", "go.sum", "main.go", "manifest.json", "message.json", "patchbay.yaml",
	}
	var got []string
	for name := range files {
		got = append(got, name)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	read := func(m Module) *modfile.File {
		t.Helper()
		w, files := written(t, m)
		f, err := modfile.Parse("go.mod", []byte(files["go.mod"]), nil)
		if err != nil {
			t.Fatal(err)
		}
		if (files["go.sum"] != "") != w.Ready {
			t.Errorf("ready is %v", w.Ready)
		}
		return f
	}
	published := read(Module{Name: "acme", SDKVersion: "v1.2.3"})
	if len(published.Require) != 1 || published.Require[0].Mod.String() != SDKModule+"@v1.2.3" || len(published.Replace) != 0 {
		t.Errorf("go.mod requires %v and replaces %v", published.Require, published.Replace)
	}
	ours, err := readModule(repository)
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	replaced := read(Module{Name: "acme", SDKVersion: "v1.2.3", Checkout: absolute})
	if len(replaced.Replace) != 1 || replaced.Replace[0].New.Path != absolute {
		t.Errorf("go.mod replaces %v", replaced.Replace)
	}
	for _, f := range []*modfile.File{published, replaced} {
		if f.Go.Version != ours.Go.Version {
			t.Errorf("go.mod asks for Go %s, ours for %s", f.Go.Version, ours.Go.Version)
		}
	}
	versions := map[string]string{}
	for _, r := range replaced.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range ours.Require {
		if PulledIn[r.Mod.Path] != "" && versions[r.Mod.Path] != r.Mod.Version {
			t.Errorf("go.mod has %s %q, ours %q", r.Mod.Path, versions[r.Mod.Path], r.Mod.Version)
		}
	}
	if len(versions) != len(PulledIn)+1 {
		t.Errorf("go.mod requires %d modules, want ours and the %d that it pulls in", len(versions), len(PulledIn))
	}
}

// TestRelativeReplacement gives the checkout by a relative path, from folders that
// are reached through a link: the module's folder and the checkout can be moved
// together.
func TestRelativeReplacement(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	checkout := filepath.Join(root, "patchbay")
	for _, dir := range []string{checkout, filepath.Join(root, "deep", "er")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"go.mod": "module " + SDKModule + "\n\ngo 1.26.0\n", "go.sum": ""} {
		if err := os.WriteFile(filepath.Join(checkout, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "deep", "er"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	given, err := filepath.Rel(wd, checkout)
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": "../patchbay", "deep": "../../patchbay", "link": "../../../patchbay"} {
		w, err := Write(Module{Name: "acme", Dir: filepath.Join(root, dir), Checkout: given})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(w.Dir, "go.mod"))
		if err != nil || !strings.Contains(string(text), "replace "+SDKModule+" => "+want+"\n") {
			t.Errorf("in %q the checkout is not %s: %s %v", dir, want, text, err)
		}
	}
}

// TestSums holds go.sum against that of the checkout: the contents of what programs
// are made of, and no other.
func TestSums(t *testing.T) {
	t.Parallel()
	all, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	_, files := written(t, Module{Name: "acme", Checkout: repository})
	contents := map[string]int{}
	for line := range strings.Lines(files["go.sum"]) {
		path, version, _ := strings.Cut(line, " ")
		switch {
		case !strings.Contains("\n"+string(all), "\n"+line):
			t.Errorf("the checkout has no %s", line)
		case !strings.Contains(version, "/go.mod "):
			contents[path]++
		}
	}
	for path, n := range contents {
		if PulledIn[path] == "" || n != 1 {
			t.Errorf("%d sums of the contents of %s", n, path)
		}
	}
	if len(contents) != len(PulledIn) {
		t.Errorf("sums of the contents of %d modules, want %d", len(contents), len(PulledIn))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "go.mod"), []byte("module example.com/x\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		m    Module
		want []string
	}{
		"every fault at once": {Module{Name: "Acme", Path: "a b"}, []string{"the name must be", "the module's path", "no published version"}},
		"a folder of Go's":    {Module{Name: "vendor", Checkout: repository}, []string{"the name vendor means something else"}},
		"a folder of its own": {Module{Name: "fakecrm", Checkout: repository}, []string{"the name fakecrm means something else"}},
		"variables of ours":   {Module{Name: "patchbay-x", Checkout: repository}, []string{"the name patchbay-x means something else"}},
		"the SDK's module":    {Module{Name: "acme", Path: SDKModule + "/x", Checkout: repository}, []string{"it is the SDK's own; --module names another"}},
		"exists":              {Module{Name: "there", Checkout: repository}, []string{"exists already"}},
		"no folder":           {Module{Name: "acme", Dir: "nowhere", Checkout: repository}, []string{"make the module's folder"}},
		"no checkout":         {Module{Name: "acme", Checkout: t.TempDir()}, []string{"read the checkout"}},
		"another checkout":    {Module{Name: "acme", Checkout: elsewhere}, []string{"is no checkout of " + SDKModule}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			c.m.Dir = filepath.Join(dir, c.m.Dir)
			_, err := Write(c.m)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Write = %v, want %q", err, want)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}
