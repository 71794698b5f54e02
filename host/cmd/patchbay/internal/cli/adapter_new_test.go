package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewOfARelease writes a module that requires the published version.
func TestNewOfARelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	env := Environment{In: strings.NewReader(""), Out: &out, Err: &errs, Release: "v1.2.3"}
	if code := Main(t.Context(), env, fakeActions(), []string{"adapter", "new", "acme", "--dir", dir}); code != ExitOK {
		t.Fatalf("ended with %d: %s", code, errs.String())
	}
	if want := "cd " + filepath.Join(dir, "acme") + " && go mod tidy && go test ./..."; !strings.Contains(out.String(), want) {
		t.Errorf("printed %s, want %s", out.String(), want)
	}
	if mod, err := os.ReadFile(filepath.Join(dir, "acme", "go.mod")); err != nil || !strings.Contains(string(mod), "require github.com/patchbay-crm/patchbay v1.2.3\n") {
		t.Errorf("go.mod is %s %v", mod, err)
	}
}
