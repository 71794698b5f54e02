package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// elf is the beginning of a Linux program for amd64.
const elf = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00 and then some"

// manifestOf returns a manifest with an executable at bin/adapter.
func manifestOf(name, version string) string {
	return fmt.Sprintf(`{"schemaVersion":1,"name":%q,"displayName":%q,"version":%q,"protocolVersions":[1],
		"run":{"runtime":"native","files":{"linux/amd64":"bin/adapter","linux/arm64":"bin/adapter-arm"}},"auth":{"type":"none"}}`,
		name, strings.ToUpper(name)+" "+version, version)
}

// folderOf makes the folder of a package under dir and returns it. files replace or
// add files; an empty one is left out. checksums.txt is made from the result.
func folderOf(t *testing.T, dir, name, version string, files map[string]string) string {
	t.Helper()
	all := map[string]string{"manifest.json": manifestOf(name, version), "bin/adapter": elf, "share/notice.txt": "hello\n"}
	maps.Copy(all, files)
	folder := filepath.Join(dir, name, version)
	for path, text := range all {
		if text != "" {
			put(t, filepath.Join(folder, path), text)
		}
	}
	seal(t, folder)
	return folder
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(filepath.Base(name), "adapter") {
		mode = 0o755
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// seal writes checksums.txt over the files that are in the folder.
func seal(t *testing.T, folder string) {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "checksums.txt" {
			return err
		}
		path, _ := filepath.Rel(folder, name)
		files[path] = digestOf(t, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(folder, "checksums.txt"), string(formatChecksums(files)))
}

func digestOf(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// fakePins remembers pins in memory.
type fakePins struct {
	mu       sync.Mutex
	pins     map[string]string
	err      error
	repinned []string         // in the order of the calls
	refuse   map[string]error // of RepinPackage, by name and version
}

func (p *fakePins) PinPackage(_ context.Context, name, version, digest string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return "", p.err
	}
	if p.pins == nil {
		p.pins = map[string]string{}
	}
	key := name + " " + version
	if p.pins[key] == "" {
		p.pins[key] = digest
	}
	return p.pins[key], nil
}

func (p *fakePins) RepinPackage(_ context.Context, name, version, digest string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refuse[name+" "+version]; err != nil {
		return err
	}
	p.repinned = append(p.repinned, name+" "+version)
	p.pins[name+" "+version] = digest
	return nil
}

// pinned returns the digest that stands.
func (p *fakePins) pinned(name, version string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pins[name+" "+version]
}

// open returns a loaded catalog for linux/amd64.
func open(t *testing.T, cfg Config) *Catalog {
	t.Helper()
	cfg.GOOS, cfg.GOARCH = "linux", "amd64"
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// parsed returns the manifest of a test package.
func parsed(t *testing.T, name, version string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse([]byte(manifestOf(name, version)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
