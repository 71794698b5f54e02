package scaffold

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Requirements returns the go.mod of the module. With a checkout of this module's
// repository, that one is used, and the go.sum is returned, too: the module then
// builds without a network, as far as the machine has what this module requires.
// Else the published version is required, whose checksums only "go mod tidy" can
// tell.
func Requirements(m Module) (goMod, goSum []byte, err error) {
	if m.Checkout == "" {
		goMod, err = writeGoMod(m.Path, leastGo, "", []*modfile.Require{{Mod: module.Version{Path: SDKModule, Version: m.SDKVersion}}})
		return goMod, nil, err
	}
	replace, err := m.replacement()
	if err != nil {
		return nil, nil, err
	}
	sdk, err := readModule(m.Checkout)
	if err != nil {
		return nil, nil, err
	}
	sums, err := os.ReadFile(filepath.Join(m.Checkout, "go.sum"))
	if err != nil {
		return nil, nil, fmt.Errorf("read the checkout: %w", err)
	}
	requires := []*modfile.Require{{Mod: module.Version{Path: SDKModule, Version: unpublished}}}
	for _, r := range sdk.Require {
		if PulledIn[r.Mod.Path] != "" {
			requires = append(requires, &modfile.Require{Mod: r.Mod, Indirect: true})
		}
	}
	goMod, err = writeGoMod(m.Path, sdk.Go.Version, replace, requires)
	return goMod, needed(sums, requires), err
}

// replacement returns the checkout as go.mod names it: relative to the module's
// folder when it was given as a relative path, so that both can be moved together;
// else absolute.
func (m Module) replacement() (string, error) {
	checkout, err := filepath.Abs(m.Checkout)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	if filepath.IsAbs(m.Checkout) {
		return checkout, nil
	}
	// The go command takes ".." from the folder itself, not from a link to it.
	from, err := filepath.EvalSymlinks(cmp.Or(m.Dir, "."))
	if err == nil {
		from, err = filepath.Abs(from)
	}
	if err != nil {
		return "", fmt.Errorf("make the module's folder: %w", err)
	}
	to, err := filepath.EvalSymlinks(checkout)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	relative, err := filepath.Rel(filepath.Join(from, m.Name), to)
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	return filepath.ToSlash(relative), nil
}

// needed returns the lines of a go.sum that a module with these requirements needs:
// of what its programs are made of, the contents, and of what the go command looks
// at besides to choose versions, every go.mod.
func needed(sums []byte, requires []*modfile.Require) []byte {
	made := map[string]bool{}
	for _, r := range requires {
		made[r.Mod.Path+" "+r.Mod.Version] = true
	}
	var out bytes.Buffer
	for line := range bytes.Lines(sums) {
		words := strings.Fields(string(line))
		if len(words) != 3 {
			continue
		}
		ofGoMod := strings.HasSuffix(words[1], "/go.mod")
		if ofGoMod && (PulledIn[words[0]] != "" || slices.Contains(lookedAt, words[0])) || made[words[0]+" "+words[1]] {
			out.Write(line)
		}
	}
	return out.Bytes()
}

// writeGoMod returns a go.mod. An empty checkout replaces nothing.
func writeGoMod(path, language, checkout string, requires []*modfile.Require) ([]byte, error) {
	var f modfile.File
	errs := []error{f.AddModuleStmt(path), f.AddGoStmt(language)}
	if checkout != "" {
		errs = append(errs, f.AddReplace(SDKModule, "", checkout, ""))
	}
	f.SetRequireSeparateIndirect(requires)
	f.SortBlocks()
	f.Cleanup()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("write go.mod: %w", err)
	}
	return f.Format()
}

const (
	// leastGo is the version of the language that the SDK needs.
	leastGo = "1.26.0"
	// unpublished stands for the version of a module that a folder replaces.
	unpublished = "v0.0.0"
)

// readModule reads the go.mod of a checkout of this module's repository.
func readModule(checkout string) (*modfile.File, error) {
	name := filepath.Join(checkout, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the checkout: %w", err)
	}
	f, err := modfile.ParseLax(name, data, nil)
	if err != nil {
		return nil, fmt.Errorf("read the checkout: %w", err)
	}
	if f.Module == nil || f.Module.Mod.Path != SDKModule || f.Go == nil {
		return nil, fmt.Errorf("%s is no checkout of %s", checkout, SDKModule)
	}
	return f, nil
}

// PulledIn are the modules of others that an adapter's program is made of, with the
// reason for each. It holds nothing of the host's. An adapter's go.mod names them,
// beside this module, before it requires anything of its own.
var PulledIn = map[string]string{
	"github.com/hashicorp/go-plugin": "the handshake, and the server that the host connects to",
	"github.com/hashicorp/go-hclog":  "go-plugin's logger, silenced",
	"github.com/hashicorp/yamux":     "go-plugin's older transport; not used, but part of it",
	"github.com/oklog/run":           "go-plugin waits for its parts with it",
	"github.com/fatih/color":         "go-hclog's colours",
	"github.com/mattn/go-colorable":  "go-hclog's colours on old terminals",
	"github.com/mattn/go-isatty":     "go-hclog asks whether there is a terminal",
	"github.com/golang/protobuf":     "the older API of protobuf, which go-plugin's stdio stream uses",

	"google.golang.org/grpc":                    "the wire between host and adapter",
	"google.golang.org/protobuf":                "the messages on that wire",
	"google.golang.org/genproto/googleapis/rpc": "the details of a status: class and time to wait of a fault",
	"golang.org/x/net":                          "gRPC's HTTP/2",
	"golang.org/x/sys":                          "gRPC and go-isatty ask the system with it",
	"golang.org/x/text":                         "golang.org/x/net writes host names with it",
}

// lookedAt are further modules whose go.mod the go command reads to choose versions:
// tests of the modules above need them. No program is made of them.
var lookedAt = []string{
	"github.com/davecgh/go-spew", "github.com/pmezard/go-difflib", "github.com/stretchr/objx", "github.com/stretchr/testify",
	"gopkg.in/check.v1", "gopkg.in/yaml.v3",
}
