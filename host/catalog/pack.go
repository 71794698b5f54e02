package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// PackInput says what goes into a package.
type PackInput struct {
	// Out is the adapters folder in which the package is made, as
	// <Out>/<name>/<version>. It is created when it is not there.
	Out string
	// Manifest is the path of the manifest, which is copied byte for byte.
	Manifest string
	// Executables are paths of executables by platform, as "linux/amd64". The
	// manifest must name each platform; at least one is needed, not all.
	Executables map[string]string
	// Files are further files: their path inside the package to the path they are
	// copied from. Their mode decides whether they may be executed.
	Files map[string]string
}

// Packed is a package that Pack has put into place, or found there already.
type Packed struct {
	Name, Version string
	// Dir is its folder, <Out>/<name>/<version>.
	Dir string
	// Digest is the SHA-256 of its checksums.txt in hex: it stands for the whole
	// package.
	Digest string
	// Platforms are those of its executables, as "linux/amd64", sorted.
	Platforms []string
	// Replaced is whether the folder held a package of another digest before. A
	// host that has pinned that one refuses this one.
	Replaced bool
}

// Pack makes an adapter package. It appears whole or not at all, in place of an
// earlier one of the same version. A package that is there already with the same
// contents is left untouched. The same input gives the same digest. The error
// names every fault of the manifest, or every fault of the files.
func Pack(ctx context.Context, in PackInput) (p Packed, err error) {
	raw, m, err := readManifest(in.Manifest)
	if err != nil {
		return Packed{}, err
	}
	sources, err := in.sources(m)
	if err != nil {
		return Packed{}, fmt.Errorf("pack %s %s: %w", m.Name, m.Version, err)
	}
	parent := filepath.Join(in.Out, m.Name)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Packed{}, fmt.Errorf("create the adapter's folder: %w", err)
	}
	// The name begins with a dot, so that no catalog takes it for a version.
	made, err := os.MkdirTemp(parent, "."+m.Version+".*")
	if err != nil {
		return Packed{}, fmt.Errorf("create the package's folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	digest, err := fill(ctx, made, raw, sources)
	if err != nil {
		return Packed{}, fmt.Errorf("pack %s %s: %w", m.Name, m.Version, err)
	}
	p = Packed{
		Name: m.Name, Version: m.Version, Dir: filepath.Join(parent, m.Version), Digest: digest,
		Platforms: slices.Sorted(maps.Keys(in.Executables)),
	}
	if old, err := readContents(ctx, p.Dir); err == nil {
		old.close()
		if old.digest == digest {
			return p, nil
		}
	}
	if err := vacant(p.Dir); err != nil {
		return Packed{}, fmt.Errorf("put the package into place: %w", err)
	}
	before := digestOfPackage(p.Dir)
	p.Replaced = before != "" && before != digest
	if err := replace(made, p.Dir); err != nil {
		return Packed{}, fmt.Errorf("put the package into place: %w", err)
	}
	return p, nil
}

// vacant refuses a place where something stands that is no package and would be
// lost.
func vacant(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		isPackage := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == manifest.ChecksumsFile })
		if len(entries) == 0 || isPackage {
			return nil
		}
	}
	return fmt.Errorf("%s is there and is no package: move it away, or give another folder", dir)
}

// openPlain opens a file for reading. Anything else than a regular file is refused
// before it is opened, for opening a pipe waits for its other end.
func openPlain(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %w", name, errNotRegular)
	}
	return os.Open(name)
}

// digestOfPackage returns the digest by which a host knows the package in dir,
// whether its files are sound or not; "" when there is none.
func digestOfPackage(dir string) string {
	f, err := os.Open(filepath.Join(dir, manifest.ChecksumsFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	sums, err := readAll(f, maxChecksumsBytes)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(sums)
	return hex.EncodeToString(sum[:])
}

func readManifest(name string) ([]byte, *manifest.Manifest, error) {
	f, err := openPlain(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the manifest: %w", err)
	}
	defer f.Close()
	raw, err := readAll(f, manifest.MaxBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read the manifest: %w", err)
	}
	m, err := manifest.Parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("check manifest %s:%s\n%w", name, lineOf(raw, err), err)
	}
	return raw, m, nil
}

// lineOf returns " line 7:" for a manifest that breaks JSON's own rules there,
// else "".
func lineOf(raw []byte, err error) string {
	var syntax *strictjson.SyntaxError
	if !errors.As(err, &syntax) {
		return ""
	}
	before := raw[:min(max(syntax.Offset, 0), int64(len(raw)))]
	return fmt.Sprintf(" line %d:", bytes.Count(before, []byte("\n"))+1)
}

// source is a file that goes into a package.
type source struct {
	from       string
	executable bool // whatever its mode
}

// sources returns what goes into the package beside the manifest, by path.
func (in PackInput) sources(m *manifest.Manifest) (map[string]source, error) {
	if len(in.Executables) == 0 {
		return nil, errors.New("no executable is given")
	}
	var errs []error
	out := make(map[string]source, len(in.Executables)+len(in.Files))
	for _, to := range slices.Sorted(maps.Keys(in.Files)) {
		if !validPath(to) || to == manifest.ManifestFile {
			errs = append(errs, fmt.Errorf("%q cannot be the path of a file in a package", to))
		}
		out[to] = source{from: in.Files[to]}
	}
	for _, platform := range slices.Sorted(maps.Keys(in.Executables)) {
		goos, goarch, _ := strings.Cut(platform, "/")
		to, ok := m.Executable(goos, goarch)
		if !ok {
			errs = append(errs, fmt.Errorf("the manifest names no executable for %s; it has %s: add the platform to run.files, or leave the file out",
				platform, strings.Join(m.Platforms(), ", ")))
			continue
		}
		from := in.Executables[platform]
		if err := checkFile(from, goos, goarch); err != nil {
			errs = append(errs, err)
		}
		if other, twice := out[to]; twice && other.from != from {
			errs = append(errs, fmt.Errorf("%s and %s would both be %s in the package: give each platform a path of its own in run.files", other.from, from, to))
		}
		out[to] = source{from: from, executable: true}
	}
	return out, errors.Join(errs...)
}

// checkFile refuses an executable that is built for another platform.
func checkFile(name, goos, goarch string) error {
	f, err := openPlain(name)
	if err != nil {
		return fmt.Errorf("read the executable: %w", err)
	}
	defer f.Close()
	header := make([]byte, headerBytes)
	n, err := io.ReadFull(f, header)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the executable: %w", err)
	}
	if err := checkHeader(header[:n], goos, goarch); err != nil {
		return fmt.Errorf("%s: %w: build it for %s/%s, or name the platform that it is built for", name, err, goos, goarch)
	}
	return nil
}

// fill writes the files of a package into dir, checksums.txt last, and returns the
// package's digest.
func fill(ctx context.Context, dir string, raw []byte, sources map[string]source) (string, error) {
	files := make(map[string]string, len(sources)+1)
	put := func(to string, mode fs.FileMode, from io.Reader) (err error) {
		files[to], err = write(ctx, filepath.Join(dir, filepath.FromSlash(to)), mode, from)
		return err
	}
	if err := put(manifest.ManifestFile, 0o644, strings.NewReader(string(raw))); err != nil {
		return "", err
	}
	for to, s := range sources {
		if err := s.copy(func(mode fs.FileMode, from io.Reader) error { return put(to, mode, from) }); err != nil {
			return "", err
		}
	}
	sums := formatChecksums(files)
	digest, err := write(ctx, filepath.Join(dir, manifest.ChecksumsFile), 0o644, strings.NewReader(string(sums)))
	if err != nil {
		return "", err
	}
	return digest, os.Chmod(dir, 0o755)
}

// copy opens the source and hands it to put.
func (s source) copy(put func(fs.FileMode, io.Reader) error) error {
	f, err := openPlain(s.from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if s.executable || info.Mode().Perm()&0o111 != 0 {
		mode = 0o755
	}
	return put(mode, f)
}

// write makes a file, on disk when it returns, and returns its SHA-256 in hex.
func write(ctx context.Context, name string, mode fs.FileMode, from io.Reader) (digest string, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	n, err := copyUntil(ctx, io.MultiWriter(f, h), io.LimitReader(from, maxPackageBytes+1))
	if err != nil {
		return "", err
	}
	if n > maxPackageBytes {
		return "", errors.New("the package is larger than 4 GiB")
	}
	return hex.EncodeToString(h.Sum(nil)), f.Sync()
}

// replace puts the folder made in the place of dir. What was there before is at
// made afterwards, or gone.
func replace(made, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(made, dir)
	}
	if err := exchange(made, dir); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return swapInTwoSteps(made, dir)
}

// swapInTwoSteps does without an exchange: there is a moment at which no package
// is there. The old one is put back when the new one cannot take its place.
func swapInTwoSteps(made, dir string) error {
	aside := made + ".old"
	if err := os.Rename(dir, aside); err != nil {
		return err
	}
	if err := os.Rename(made, dir); err != nil {
		return errors.Join(err, os.Rename(aside, dir))
	}
	return os.RemoveAll(aside)
}
