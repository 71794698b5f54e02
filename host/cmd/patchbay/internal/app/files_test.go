package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestAdminTokenIsMadeOnce(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "data", "admin.token")
	// Hosts that start at once must agree on one token.
	const hosts = 8
	tokens := make([]string, hosts)
	var all sync.WaitGroup
	for i := range hosts {
		all.Go(func() {
			token, err := AdminToken(name)
			if err != nil {
				t.Error(err)
			}
			tokens[i] = token.Reveal()
		})
	}
	all.Wait()
	for _, token := range tokens {
		if token != tokens[0] || !strings.HasPrefix(token, adminTokenPrefix) || len(token) < 30 {
			t.Fatalf("got %q", tokens)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(left) != 1 {
		t.Errorf("%v were left behind, %v", left, err)
	}
}

func TestAdminTokenFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		mode fs.FileMode
		want string
	}{
		"readable by others": {"0123456789abcdef", 0o640, "chmod 600"},
		"short":              {"0123456789abcde", 0o600, "16 to 1024 bytes"},
		"long":               {strings.Repeat("a", maxAdminToken+1), 0o600, "16 to 1024 bytes"},
		"two words":          {"0123456789abcdef 0123456789abcdef", 0o600, "one word"},
		"control character":  {"0123456789\x1babcdef", 0o600, "one word"},
		"empty":              {"", 0o600, "16 to 1024 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "admin.token")
			if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := AdminToken(file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && c.text != "" && strings.Contains(err.Error(), c.text) {
				t.Error("the error repeats the token")
			}
		})
	}
}

func TestOneHostADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := lockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDataDir(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("a second host got in: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDataDir(dir)
	if err != nil {
		t.Fatalf("the lock outlived its host: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
