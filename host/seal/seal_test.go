package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *seal.Sealer {
	t.Helper()
	s, err := seal.Open(path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func sealed(t *testing.T, s *seal.Sealer, text string, ad []byte) []byte {
	t.Helper()
	b, err := s.Seal([]byte(text), ad)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return b
}

func unsealed(t *testing.T, s *seal.Sealer, text, ad []byte) string {
	t.Helper()
	b, err := s.Unseal(text, ad)
	if err != nil {
		t.Fatalf("Unseal: %v", err)
	}
	return string(b)
}

var acme = []byte("request of acme")

func TestSealAndUnseal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "key.json")
	s := open(t, path)
	for _, text := range []string{"", "Bearer secret", strings.Repeat("x", 1<<20)} {
		one, two := sealed(t, s, text, acme), sealed(t, s, text, acme)
		if bytes.Equal(one, two) {
			t.Error("two seals of the same text are equal")
		}
		if text != "" && bytes.Contains(one, []byte(text)) {
			t.Error("the sealed text holds the plaintext")
		}
		if got := unsealed(t, open(t, path), one, acme); got != text {
			t.Errorf("unsealed %d bytes, want %d", len(got), len(text))
		}
	}
}

func TestUnsealRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "key.json"))
	good := sealed(t, s, "Bearer secret", acme)
	changed := bytes.Clone(good)
	changed[len(changed)-1] ^= 1
	cases := map[string]struct {
		sealer   *seal.Sealer
		text, ad []byte
	}{
		"another tenant":  {s, good, []byte("request of other")},
		"another purpose": {s, good, []byte("settings of acme")},
		"no data":         {s, good, nil},
		"changed":         {s, changed, acme},
		"cut off":         {s, good[:10], acme},
		"empty":           {s, nil, acme},
		"plain text":      {s, []byte("Bearer secret"), acme},
		"another key":     {open(t, filepath.Join(dir, "other.json")), good, acme},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.sealer.Unseal(c.text, c.ad)
			if !errors.Is(err, seal.ErrUnseal) || got != nil {
				t.Fatalf("Unseal = %q, %v, want ErrUnseal", got, err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds plaintext: %v", err)
			}
		})
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.json")
	fingerprints := make([]string, 16)
	var wg sync.WaitGroup
	for i := range fingerprints {
		wg.Go(func() {
			s, err := seal.Open(path)
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			fingerprints[i] = s.Fingerprint()
		})
	}
	wg.Wait()
	for _, f := range fingerprints {
		if f != fingerprints[0] || len(f) != 32 {
			t.Errorf("fingerprints %q: want all the same", fingerprints)
			break
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files in the directory (%v), want the key file alone", len(left), err)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.json")
	old := open(t, path)
	before := sealed(t, old, "before", acme)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := seal.Rotate(path); err != nil {
				t.Errorf("Rotate: %v", err)
			}
		})
	}
	wg.Wait()
	rotated := open(t, path)
	if keys := keysIn(t, path); keys != 5 {
		t.Errorf("%d keys after four rotations, want 5", keys)
	}
	if got := unsealed(t, rotated, before, acme); got != "before" {
		t.Errorf("unsealed %q", got)
	}
	if rotated.Fingerprint() != old.Fingerprint() {
		t.Error("rotation changed the fingerprint")
	}
	after := sealed(t, rotated, "after", acme)
	if _, err := old.Unseal(after, acme); !errors.Is(err, seal.ErrUnseal) {
		t.Errorf("the old keys unseal what the new one sealed: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if err := seal.Rotate(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Rotate without a file: %v", err)
	}
}

func keysIn(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keyset struct{ Key []any }
	if err := json.Unmarshal(content, &keyset); err != nil {
		t.Fatal(err)
	}
	return len(keyset.Key)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const secret = "GiAmarkedSecret"
	cases := map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"readable by the group": {func(t *testing.T, path string) { chmod(t, path, 0o640) }, "chmod 600"},
		"writable by others":    {func(t *testing.T, path string) { chmod(t, path, 0o602) }, "chmod 600"},
		"not JSON": {func(t *testing.T, path string) {
			write(t, path, `{"primaryKeyId": 1, "key": `+secret)
		}, "no Tink keyset"},
		"wrong types": {func(t *testing.T, path string) {
			write(t, path, `{"primaryKeyId":1,"key":[{"keyData":{"value":7,"`+secret+`":"`+secret+`"}}]}`)
		}, "no Tink keyset"},
		"empty":     {func(t *testing.T, path string) { write(t, path, "") }, "no Tink keyset"},
		"no keys":   {func(t *testing.T, path string) { write(t, path, `{"primaryKeyId":1,"key":[]}`) }, "no Tink keyset"},
		"too large": {func(t *testing.T, path string) { write(t, path, strings.Repeat(" ", 1<<20+1)) }, "larger"},
		"directory": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, "regular"},
		"pipe": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "regular"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "key.json")
			open(t, path)
			c.make(t, path)
			_, err := seal.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want one with %q and the path", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error quotes the file: %v", err)
			}
			if seal.Rotate(path) == nil {
				t.Error("Rotate took what Open refuses")
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
