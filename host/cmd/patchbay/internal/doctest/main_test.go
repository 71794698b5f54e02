package doctest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write tables and blocks that are made from the code anew")

// root is the root of the repository, seen from this package.
const root = "../../../../.."

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove what was built:", err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// read returns the text of a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	must(t, err)
	return string(data)
}

// notOurs are directories that hold what was built, fetched or kept by a host.
var notOurs = map[string]bool{".git": true, "dist": true, "var": true, "node_modules": true, ".tools/bin": true}

// files returns the files of the repository whose names end so, from its root.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var out []string
	must(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (notOurs[name] || notOurs[entry.Name()]):
			return filepath.SkipDir
		case entry.Type().IsRegular() && strings.HasSuffix(name, ending):
			out = append(out, name)
		}
		return nil
	}))
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
