package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// socketDirPrefix begins the names of the directories made for sockets.
const socketDirPrefix = "patchbay-"

// socketDir is the private directory for sockets. It lies where other programs
// clean up, so that it may be gone at any time: every start asks for it.
type socketDir struct {
	parent string // where it is made; "" for the system's own places

	mu   sync.Mutex // guards what follows
	path string     // "" before the first
}

// ensure returns the directory, and whether it had to be made. One that is gone,
// or is not the host's alone any more, is given up for a fresh one under another
// name: where the old one was, somebody else may be waiting.
func (d *socketDir) ensure() (path string, made bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.path != "" && isPrivate(d.path) {
		return d.path, false, nil
	}
	path, err = makeSocketDir(d.parent)
	if err != nil {
		return "", false, fmt.Errorf("make the directory for sockets: %w", err)
	}
	d.path = path
	return path, true, nil
}

// remove deletes the directory, unless it is another's by now.
func (d *socketDir) remove() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return removeSockets(d.path)
}

// makeSocketDir makes a fresh private directory. mkdir of a name that nobody
// could know never takes what is there already.
func makeSocketDir(parent string) (string, error) {
	if parent != "" {
		return os.MkdirTemp(parent, socketDirPrefix)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		if path, err := os.MkdirTemp(dir, socketDirPrefix); err == nil {
			return path, nil // else it is stale, as after su
		}
	}
	return os.MkdirTemp(os.TempDir(), socketDirPrefix)
}

// isPrivate reports whether path is a directory, no link, that the host's user
// alone can look into.
func isPrivate(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// removeSockets removes a directory for sockets, an earlier life's perhaps, if it
// is one.
func removeSockets(dir string) error {
	if dir == "" || !filepath.IsAbs(dir) || !strings.HasPrefix(filepath.Base(dir), socketDirPrefix) {
		return nil
	}
	if _, err := os.Lstat(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if !isPrivate(dir) {
		return nil
	}
	return os.RemoveAll(dir)
}
