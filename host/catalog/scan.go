package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// How many adapters one folder may hold, and versions one adapter.
const (
	maxAdapters = 1000
	maxVersions = 1000
)

// scan collects packages and problems while the adapters folders are walked.
type scan struct {
	cfg      Config
	only     scope
	packages map[string]map[string]*Package
	problems []Problem
	// unread are the problems of folders that are there and cannot be listed:
	// nobody knows what lies in them.
	unread []Problem
}

// scope is what a scan looks for; the zero scope is everything.
type scope struct {
	name    string // of the one adapter; empty for all
	version string // its one version; empty for all
}

func (s scope) adapter(name string) bool      { return s.name == "" || s.name == name }
func (s scope) versionOf(version string) bool { return s.version == "" || s.version == version }

// walk reads the adapters folders. Its error is not of a package.
func (s *scan) walk(ctx context.Context) error {
	s.packages = map[string]map[string]*Package{}
	for _, dir := range s.cfg.Dirs {
		if err := s.folder(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) refuse(dir, name, version string, p *Problem) {
	p.Dir, p.Name, p.Version = dir, name, version
	s.problems = append(s.problems, *p)
}

// refuseFolder notes that a folder cannot be listed, or not wholly.
func (s *scan) refuseFolder(dir, name, remedy string, err error) {
	s.refuse(dir, name, "", problem(CauseNotInstalled, remedy, err.Error()))
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errTooMany) {
		s.unread = append(s.unread, s.problems[len(s.problems)-1])
	}
}

// folder reads one adapters folder.
func (s *scan) folder(ctx context.Context, dir string) error {
	dir = absolute(dir)
	names, err := folders(dir, maxAdapters)
	if err != nil {
		s.refuseFolder(dir, "", "create the folder and install adapters in it, or mend adaptersDirs", err)
	}
	for _, name := range names {
		sub := filepath.Join(dir, name)
		if !manifest.ValidName(name) {
			s.refuse(sub, "", "", problem(CauseNotInstalled, "give the folder the name of its adapter, or move it elsewhere",
				"the folder's name cannot be the name of an adapter"))
			continue
		}
		if !s.only.adapter(name) {
			continue
		}
		if err := s.adapter(ctx, sub, name); err != nil {
			return err
		}
	}
	return nil
}

// adapter reads the versions of one adapter.
func (s *scan) adapter(ctx context.Context, dir, name string) error {
	versions, err := folders(dir, maxVersions)
	switch {
	case err != nil:
		s.refuseFolder(dir, name, "make the folder readable", err)
	case len(versions) == 0:
		s.refuse(dir, name, "", problem(CauseNotInstalled, "install a version of the adapter, or remove the folder", "the folder holds no version"))
	}
	for _, version := range versions {
		sub := filepath.Join(dir, version)
		if !manifest.ValidVersion(version) {
			s.refuse(sub, name, "", problem(CauseNotInstalled, "give the folder the version as its name, such as 1.0.0, or move it elsewhere",
				"the folder's name is no semantic version"))
			continue
		}
		if !s.only.versionOf(version) {
			continue
		}
		if err := s.version(ctx, sub, name, version); err != nil {
			return err
		}
	}
	return nil
}

// version reads one package. It returns errors that are not the package's.
func (s *scan) version(ctx context.Context, dir, name, version string) error {
	p, err := s.read(ctx, dir, name, version)
	if bad, ok := asProblem(err); ok {
		s.refuse(dir, name, version, bad)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read package %s %s: %w", name, version, err)
	}
	if p == nil {
		return nil
	}
	if s.packages[name] == nil {
		s.packages[name] = map[string]*Package{}
	}
	s.packages[name][version] = p
	return nil
}

// read reads, checks and pins one package; nil without an error when an earlier
// folder has the same. The error is a *Problem when it is the package's.
func (s *scan) read(ctx context.Context, dir, name, version string) (*Package, error) {
	c, err := readContents(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.named(name, version); err != nil {
		return nil, err
	}
	executable, err := c.executable(s.cfg.GOOS, s.cfg.GOARCH)
	if err != nil {
		return nil, err
	}
	if first, ok := s.packages[name][version]; ok {
		if first.Digest == c.digest {
			return nil, nil
		}
		return nil, problem(CauseDigestMismatch, "remove one of the two", "another package of the same version lies in an earlier adapters folder")
	}
	if err := s.pin(ctx, name, version, c.digest); err != nil {
		return nil, err
	}
	m, err := c.manifest.WithOverrides(s.cfg.Overrides[name])
	if err != nil {
		return nil, fmt.Errorf("override the manifest: %w", err)
	}
	return &Package{
		Name: name, Version: version, Dir: dir, Digest: c.digest, Manifest: m, Files: c.files,
		ExecutablePath: filepath.Join(dir, filepath.FromSlash(executable)), ExecutableDigest: c.files[executable],
	}, nil
}

func (s *scan) pin(ctx context.Context, name, version, digest string) error {
	if s.cfg.Pins == nil {
		return nil
	}
	pinned, err := s.cfg.Pins.PinPackage(ctx, name, version, digest)
	if err != nil {
		return fmt.Errorf("pin the digest: %w", err)
	}
	if pinned != digest {
		return problem(CauseDigestMismatch, remedyInstall(name, version), "the package is not the one that was installed under this version")
	}
	return nil
}

// ReadPackage reads and checks the package in dir, as Load does with those in its
// adapters folders, and pins nothing: of cfg, the overrides and the platform count.
// The error is a *Problem when it is the package's.
func ReadPackage(ctx context.Context, dir string, cfg Config) (*Package, error) {
	dir = absolute(dir)
	name, version := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
	p, err := (&scan{cfg: Config{GOOS: cfg.GOOS, GOARCH: cfg.GOARCH, Overrides: cfg.Overrides}.withDefaults()}).read(ctx, dir, name, version)
	if bad, ok := asProblem(err); ok {
		bad.Dir, bad.Name, bad.Version = dir, name, version
		return nil, bad
	}
	return p, err
}

var errTooMany = errors.New("the folder holds more")

// folders returns the names of the folders in dir, sorted, those that begin with a
// dot left out: packages are made under such names.
func folders(dir string, limit int) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the folder cannot be read: %w", cause(err))
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		// Operators may link packages into place: a link to a folder counts.
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err != nil || !info.IsDir() {
			continue
		}
		if len(names) == limit {
			return names, fmt.Errorf("%w than %d folders; the others are left out", errTooMany, limit)
		}
		names = append(names, e.Name())
	}
	return names, nil
}

// cause strips the path and operation, which the problem names already, from an
// error of the file system.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// readAll reads a file of at most limit bytes.
func readAll(f io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	return data, err
}
