package doctest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildLimit bounds the build, which takes long when nothing is cached.
const buildLimit = 4 * time.Minute

// built is the folder with the copy of the repository.
var built struct {
	once sync.Once
	dir  string // removed in the end
	copy string // the copy in it
	err  error
}

// clone returns the path of a copy of the repository in which "make build" was run.
// It is made once, in a folder of its own: commands may write beside it.
func clone(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "patchbay-doctest-"); built.err != nil {
			return
		}
		built.copy = filepath.Join(built.dir, "patchbay")
		for _, name := range files(t, "") {
			if built.err = copyFile(filepath.Join(built.copy, name), filepath.Join(root, name)); built.err != nil {
				return
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
		defer cancel()
		if out, err := command(ctx, built.copy, "make", "build").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("make build: %w\n%s", err, out)
		}
	})
	must(t, built.err)
	return built.copy
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// command returns a command that runs as if a person had typed it: without what
// this test run has in its environment. The command and all that it started end
// with ctx.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return name == "CGO_ENABLED" || name == "MAKEFLAGS" || name == "MAKELEVEL" || name == "MFLAGS" ||
			strings.HasPrefix(name, "PATCHBAY_") || strings.HasPrefix(name, "EXAMPLECRM_")
	})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}
