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
	"path/filepath"
	"strings"

	"github.com/patchbay-crm/patchbay/host/manifest"
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

// Pack makes an adapter package and returns its folder. The package appears whole
// or not at all, in place of an earlier one of the same version. A package that is
// there already with the same contents is left untouched. The same input gives the
// same digest.
func Pack(ctx context.Context, in PackInput) (dir string, err error) {
	raw, m, err := readManifest(in.Manifest)
	if err != nil {
		return "", err
	}
	sources, err := in.sources(m)
	if err != nil {
		return "", fmt.Errorf("pack %s %s: %w", m.Name, m.Version, err)
	}
	parent := filepath.Join(in.Out, m.Name)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("create the adapter's folder: %w", err)
	}
	// The name begins with a dot, so that no catalog takes it for a version.
	made, err := os.MkdirTemp(parent, "."+m.Version+".*")
	if err != nil {
		return "", fmt.Errorf("create the package's folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	digest, err := fill(ctx, made, raw, sources)
	if err != nil {
		return "", fmt.Errorf("pack %s %s: %w", m.Name, m.Version, err)
	}
	dir = filepath.Join(parent, m.Version)
	if old, err := readContents(ctx, dir); err == nil {
		old.close()
		if old.digest == digest {
			return dir, nil
		}
	}
	if err := replace(made, dir); err != nil {
		return "", fmt.Errorf("put the package into place: %w", err)
	}
	return dir, nil
}

func readManifest(name string) ([]byte, *manifest.Manifest, error) {
	f, err := os.Open(name)
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
		return nil, nil, fmt.Errorf("check manifest %s: %w", name, err)
	}
	return raw, m, nil
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
	out := make(map[string]source, len(in.Executables)+len(in.Files))
	for to, from := range in.Files {
		if !validPath(to) || to == manifest.ManifestFile {
			return nil, fmt.Errorf("%q cannot be the path of a file in a package", to)
		}
		out[to] = source{from: from}
	}
	for platform, from := range in.Executables {
		goos, goarch, _ := strings.Cut(platform, "/")
		to, ok := m.Executable(goos, goarch)
		if !ok {
			return nil, fmt.Errorf("the manifest names no executable for %s; it has %s", platform, strings.Join(m.Platforms(), ", "))
		}
		if err := checkFile(from, goos, goarch); err != nil {
			return nil, err
		}
		out[to] = source{from: from, executable: true}
	}
	return out, nil
}

// checkFile refuses an executable that is built for another platform.
func checkFile(name, goos, goarch string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the executable: %w", err)
	}
	defer f.Close()
	header := make([]byte, headerBytes)
	n, err := io.ReadFull(f, header)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the executable: %w", err)
	}
	return checkHeader(header[:n], goos, goarch)
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
	f, err := os.Open(s.from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s %w", s.from, errNotRegular)
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
