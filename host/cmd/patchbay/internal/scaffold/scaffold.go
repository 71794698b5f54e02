// Package scaffold writes the module of a new adapter: small, complete, with tests
// and a fake CRM, to be changed into what its author needs.
//
// The files are those of the folder template, which is a package of this module
// and is built and tested with it. In them the adapter is called acme; Write puts
// another name into that one's place.
package scaffold

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// SDKModule is the path of the module that an adapter requires: this one.
const SDKModule = "github.com/patchbay-crm/patchbay"

//go:embed template
var files embed.FS

const (
	root = "template"
	// inTemplate is the import path of the template, in place of the module's.
	inTemplate = SDKModule + "/host/cmd/patchbay/internal/scaffold/template"
)

// renamed are files that bear another name in the template, so that no tool takes
// them for this module's own.
var renamed = map[string]string{"gitignore": ".gitignore", "README": "README.md"}

// Module says what to write.
type Module struct {
	// Name is the adapter's name, as manifests have it.
	Name string
	// Path is the path of the Go module; default "example.com/" and the name.
	Path string
	// Dir is the folder in which the module's own folder is made, under Name;
	// default the working directory.
	Dir string
	// SDKVersion is the published version of this module to require, as "v1.2.3".
	// It may be empty when Checkout is given.
	SDKVersion string
	// Checkout is the path of a copy of this module's repository that is used in
	// place of a published version; empty for none. The go.mod names it by a path
	// that is relative when this one is.
	Checkout string
}

// Written is a module that was written.
type Written struct {
	Name, Path string
	// Dir is its folder.
	Dir string
	// Ready is whether it builds as it is. Else "go mod tidy" must be run first,
	// to fetch the checksums of what it requires.
	Ready bool
}

// Write writes the module. Its folder appears whole or not at all, and must not
// exist before. The error names every fault of m at once.
func Write(m Module) (w Written, err error) {
	if m.Path == "" {
		m.Path = "example.com/" + m.Name
	}
	if err := m.validate(); err != nil {
		return Written{}, err
	}
	goMod, goSum, err := Requirements(m)
	if err != nil {
		return Written{}, err
	}
	w = Written{Name: m.Name, Path: m.Path, Dir: filepath.Join(m.Dir, m.Name), Ready: goSum != nil}
	if _, err := os.Lstat(w.Dir); !errors.Is(err, fs.ErrNotExist) {
		return Written{}, fmt.Errorf("%s exists already: choose another name or folder", w.Dir)
	}
	made, err := os.MkdirTemp(cmp.Or(m.Dir, "."), "."+m.Name+".*")
	if err != nil {
		return Written{}, fmt.Errorf("make the module's folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	if err := m.fill(made, goMod, goSum); err != nil {
		return Written{}, fmt.Errorf("write the module: %w", err)
	}
	if err := os.Rename(made, w.Dir); err != nil {
		return Written{}, fmt.Errorf("put the module into place: %w", err)
	}
	return w, nil
}

func (m Module) validate() error {
	var errs []error
	if !manifest.ValidName(m.Name) {
		errs = append(errs, errors.New("the name must be lower-case letters, digits and hyphens, beginning with a letter, at most 40 characters long"))
	}
	if reserved(m.Name) {
		errs = append(errs, fmt.Errorf("the name %s means something else: to Go, to the module that is made, or in the names of variables; choose another", m.Name))
	}
	if err := module.CheckImportPath(m.Path); err != nil && (manifest.ValidName(m.Name) || m.Path != "example.com/"+m.Name) {
		errs = append(errs, fmt.Errorf("the module's path: %w; --module names another", err))
	}
	if m.Path == SDKModule || strings.HasPrefix(m.Path, SDKModule+"/") {
		errs = append(errs, errors.New("the module's path: it is the SDK's own; --module names another"))
	}
	if m.SDKVersion == "" && m.Checkout == "" {
		errs = append(errs, errors.New("this build of patchbay is of no published version: give the path of a checkout of its repository"))
	}
	return errors.Join(errs...)
}

// reserved reports whether a module of that name could not be built, packed or run:
// Go or the module itself has a folder of that name, or the host keeps the variables
// that it would have for itself.
func reserved(name string) bool {
	first, _, _ := strings.Cut(name, "-")
	return slices.Contains([]string{"vendor", "testdata", "internal", "cmd", "fakecrm", "build", "main"}, name) ||
		slices.Contains([]string{"patchbay", "plugin", "ld"}, first)
}

// fill writes the files of the module into dir.
func (m Module) fill(dir string, goMod, goSum []byte) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	names := m.names()
	err := fs.WalkDir(files, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		data = []byte(names.Replace(string(data)))
		if path.Ext(name) == ".go" { // imports may have lost their order
			if data, err = format.Source(data); err != nil {
				return fmt.Errorf("format %s: %w", name, err)
			}
		}
		name = strings.TrimPrefix(name, root+"/")
		if other, ok := renamed[name]; ok {
			name = other
		}
		return put(filepath.Join(dir, filepath.FromSlash(name)), data)
	})
	if err != nil {
		return err
	}
	if goSum != nil {
		if err := put(filepath.Join(dir, "go.sum"), goSum); err != nil {
			return err
		}
	}
	return put(filepath.Join(dir, "go.mod"), goMod)
}

// names puts the module's names into the place of the template's. It goes through
// a text once: what it has put there is not looked at again.
func (m Module) names() *strings.Replacer {
	words := strings.FieldsFunc(m.Name, func(r rune) bool { return r == '-' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.NewReplacer(
		inTemplate, m.Path,
		"acme.example", strings.Trim(m.Name, "-")+".example", // a host name
		"ACME", strings.ToUpper(strings.ReplaceAll(m.Name, "-", "_")),
		"Acme", strings.Join(words, " "),
		"acme", m.Name,
	)
}

// put writes a file that everybody may read, and the folders above it.
func put(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
