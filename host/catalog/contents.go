package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// contents is what lies in the folder of a package: a valid manifest, and files
// that are exactly those of checksums.txt.
type contents struct {
	root     *os.Root
	manifest *manifest.Manifest
	files    map[string]string // path to SHA-256 in hex, without checksums.txt
	digest   string            // SHA-256 of checksums.txt in hex
}

// readContents reads and checks the folder. It follows no link out of it or in it.
// The error is a *Problem unless ctx ended. The caller closes the contents.
func readContents(ctx context.Context, dir string) (*contents, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, problem(CauseNotInstalled, "make the folder readable", "the folder cannot be opened: "+cause(err).Error())
	}
	c := &contents{root: root}
	if err := c.read(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close ends the use of the folder; it was only read.
func (c *contents) close() { _ = c.root.Close() }

func (c *contents) read(ctx context.Context) error {
	raw, err := c.small(manifest.ManifestFile, manifest.MaxBytes)
	if err != nil {
		return err
	}
	if c.manifest, err = parseManifest(raw); err != nil {
		return err
	}
	sums, err := c.small(manifest.ChecksumsFile, maxChecksumsBytes)
	if err != nil {
		return err
	}
	if c.files, err = parseChecksums(sums); err != nil {
		return problem(CauseDigestMismatch, remedyPack, "checksums.txt "+err.Error())
	}
	sum := sha256.Sum256(sums)
	c.digest = hex.EncodeToString(sum[:])
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != c.files[manifest.ManifestFile] {
		return problem(CauseDigestMismatch, remedyRestore, "manifest.json is not the file of checksums.txt")
	}
	v := verifier{contents: c, missing: make(map[string]bool, len(c.files))}
	for file := range c.files {
		v.missing[file] = true
	}
	return v.run(ctx)
}

// small reads one of the package's own files.
func (c *contents) small(name string, limit int64) ([]byte, error) {
	f, err := openRegular(c.root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem(CauseNotInstalled, remedyPack, "the folder has no "+name)
	}
	if err != nil {
		return nil, problem(CauseNotInstalled, remedyPack, name+" cannot be read: "+cause(err).Error())
	}
	defer f.Close()
	data, err := readAll(f, limit)
	if err != nil {
		return nil, problem(CauseNotInstalled, remedyPack, name+" cannot be read: "+cause(err).Error())
	}
	return data, nil
}

// parseManifest reads a manifest; the error is a *Problem.
func parseManifest(raw []byte) (*manifest.Manifest, error) {
	m, err := manifest.Parse(raw)
	if err == nil {
		return m, nil
	}
	p := problem(CauseInvalidManifest, "mend the manifest and pack the package again, or ask its author to", "manifest.json breaks the rules")
	if errors.As(err, &p.Faults) {
		for _, f := range p.Faults {
			if f.Code == manifest.CodeProtocol {
				p.Cause = CauseProtocolMismatch
				p.Remedy = "install a version of the adapter that is made for this host, or a host that is made for the adapter"
				p.Detail = "the adapter speaks other versions of the adapter contract"
			}
		}
		return nil, p
	}
	p.Faults = strictjson.Faults{{Code: strictjson.CodeInvalid, Detail: err.Error()}}
	p.Detail = "manifest.json is not JSON"
	return nil, p
}

// named checks that the manifest speaks of the package that the folder is named
// after.
func (c *contents) named(name, version string) error {
	var faults strictjson.Faults
	if c.manifest.Name != name {
		faults.AddAt("/name", strictjson.CodeInvalid, "must equal the name of the adapter's folder")
	}
	if c.manifest.Version != version {
		faults.AddAt("/version", strictjson.CodeInvalid, "must equal the name of the package's folder")
	}
	if len(faults) == 0 {
		return nil
	}
	return &Problem{
		Cause: CauseInvalidManifest, Faults: faults,
		Detail: "the manifest is not of the package that the folder is named after",
		Remedy: "move the package to the folder <name>/<version> of its manifest",
	}
}

// executable returns the path of the executable for the platform, after a look at
// its mode and first bytes. The error is a *Problem.
func (c *contents) executable(goos, goarch string) (string, error) {
	name, ok := c.manifest.Executable(goos, goarch)
	if _, listed := c.files[name]; !ok || !listed {
		detail := fmt.Sprintf("the package has no executable for %s/%s", goos, goarch)
		if others := c.packed(); len(others) > 0 {
			return "", problem(CauseWrongArchitecture, fmt.Sprintf("install a package that holds one; this one is for %v", others), detail)
		}
		return "", problem(CauseNotInstalled, remedyPack, detail+", nor any other")
	}
	f, err := openRegular(c.root, name)
	if err != nil {
		return "", problem(CauseNotExecutable, "make the executable readable", "the executable cannot be read: "+cause(err).Error())
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o111 == 0 {
		return "", problem(CauseNotExecutable, "make the file executable: chmod +x "+name, "the executable's mode does not allow to execute it")
	}
	header := make([]byte, headerBytes)
	n, err := io.ReadFull(f, header)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", problem(CauseNotExecutable, "make the executable readable", "the executable cannot be read: "+cause(err).Error())
	}
	return name, checkHeader(header[:n], goos, goarch)
}

// packed returns the platforms whose executables the package really holds.
func (c *contents) packed() []string {
	var out []string
	for _, platform := range c.manifest.Platforms() {
		if _, ok := c.files[c.manifest.Run.Files[platform]]; ok {
			out = append(out, platform)
		}
	}
	return out
}

// errNotRegular is why a link, device, socket or pipe is not read.
var errNotRegular = errors.New("is not a regular file")

// openRegular opens a regular file below root for reading. It does not wait for a
// pipe that took the file's place, and follows no link.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = errNotRegular
	}
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	return f, nil
}
