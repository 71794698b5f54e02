package scaffold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Requirements returns the go.mod of an adapter's module with that path. With the
// path of a checkout of this module's repository, that one is used, and the go.sum
// is returned, too: the module then builds without a network, as far as the
// machine has what this module requires. Else the published version is required,
// whose checksums only "go mod tidy" can tell.
func Requirements(path, version, checkout string) (goMod, goSum []byte, err error) {
	if checkout == "" {
		goMod, err = writeGoMod(path, leastGo, "", []*modfile.Require{{Mod: module.Version{Path: SDKModule, Version: version}}})
		return goMod, nil, err
	}
	if checkout, err = filepath.Abs(checkout); err != nil {
		return nil, nil, fmt.Errorf("find the checkout: %w", err)
	}
	sdk, err := readModule(checkout)
	if err != nil {
		return nil, nil, err
	}
	if goSum, err = os.ReadFile(filepath.Join(checkout, "go.sum")); err != nil {
		return nil, nil, fmt.Errorf("read the checkout: %w", err)
	}
	requires := []*modfile.Require{{Mod: module.Version{Path: SDKModule, Version: unpublished}}}
	for _, r := range sdk.Require {
		if PulledIn[r.Mod.Path] != "" {
			requires = append(requires, &modfile.Require{Mod: r.Mod, Indirect: true})
		}
	}
	goMod, err = writeGoMod(path, sdk.Go.Version, checkout, requires)
	return goMod, goSum, err
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
