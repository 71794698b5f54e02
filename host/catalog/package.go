package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// Package is one installed version of one adapter, checked. It is read-only.
type Package struct {
	Name    string
	Version string
	// Dir is the absolute path of the package's folder.
	Dir string
	// Digest is the SHA-256 of checksums.txt in hex: it stands for the whole
	// package.
	Digest string
	// Manifest is the package's manifest with the operator's overrides.
	Manifest *manifest.Manifest
	// ExecutablePath is the absolute path of the executable for this platform.
	ExecutablePath string
	// ExecutableDigest is its SHA-256 in hex. Whoever executes it must check the
	// bytes that run against it: the file may have changed since Load.
	ExecutableDigest string
	// Files maps the path of every file but checksums.txt to its SHA-256 in hex.
	Files map[string]string
}

// The causes of problems. Those of a process that does not start or stay are
// reported elsewhere under names of the same kind.
const (
	// CauseNotInstalled: the package, or a part that it cannot do without, is not
	// there.
	CauseNotInstalled = "not_installed"
	// CauseInvalidManifest: manifest.json breaks the rules; Problem.Faults has all
	// of it.
	CauseInvalidManifest = "invalid_manifest"
	// CauseProtocolMismatch: the adapter speaks other versions of the adapter
	// contract than this host.
	CauseProtocolMismatch = "protocol_mismatch"
	// CauseDigestMismatch: the files are not those of checksums.txt, or the
	// package is not the one that was installed under this version.
	CauseDigestMismatch = "digest_mismatch"
	// CauseWrongArchitecture: the package has no executable for this platform.
	CauseWrongArchitecture = "wrong_architecture"
	// CauseNotExecutable: the executable may not be executed or is no executable.
	CauseNotExecutable = "not_executable"
)

// Problem says why a package is not in the catalog and how to mend that.
type Problem struct {
	// Dir is the folder that it is about.
	Dir string
	// Name and Version are those of the folder, empty when it is about an
	// adapters folder, and Version when it is about an adapter's.
	Name, Version string
	// Cause is one of the constants above.
	Cause string
	// Detail says what was found. It repeats no value of a manifest.
	Detail string
	// Remedy says what to do about it.
	Remedy string
	// Faults are those of the manifest.
	Faults strictjson.Faults
}

// Error returns what was found, the manifest's faults included.
func (p Problem) Error() string {
	if len(p.Faults) == 0 {
		return p.Detail
	}
	return p.Detail + ":\n" + p.Faults.Error()
}

// OneLine returns what Error does, on one line.
func (p Problem) OneLine() string {
	if len(p.Faults) == 0 {
		return p.Detail
	}
	return p.Detail + ": " + strings.ReplaceAll(p.Faults.Error(), "\n", "; ")
}

// The remedies that several problems share.
const (
	remedyPack    = "copy the package here again, or pack it again if you are its author"
	remedyRestore = "restore the package's files, or pack it again if you are its author: patchbay adapter pack"
)

// remedyInstall says how to have a host take the package that lies there now in
// place of the one that it installed under this version.
func remedyInstall(name, version string) string {
	return fmt.Sprintf("if this build is to be used, have the running host take it: patchbay adapter install %s --version %s; "+
		"otherwise restore the one that was installed", name, version)
}

func problem(cause, remedy, detail string) *Problem {
	return &Problem{Cause: cause, Remedy: remedy, Detail: detail}
}

// asProblem returns the problem in err's chain.
func asProblem(err error) (*Problem, bool) {
	var p *Problem
	ok := errors.As(err, &p)
	return p, ok
}
