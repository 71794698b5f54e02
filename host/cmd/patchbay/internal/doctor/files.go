package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/patchbay-crm/patchbay/host/config"
)

// lowSpace and noSpace are bytes of free disk space.
const (
	lowSpace = 1 << 30
	noSpace  = 64 << 20
)

// dataDir checks the data directory, and reports whether a host runs in it.
func (f *findings) dataDir(c *config.Config) (running bool) {
	const check = "data directory"
	info, err := os.Stat(c.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.add(check, OK, "", "%s does not exist yet; the first start makes it", c.DataDir)
		f.writable(check, nearest(c.DataDir))
		f.space(nearest(c.DataDir))
		return false
	case err != nil:
		f.add(check, Fail, "let the user that runs the host enter it, or set dataDir", "%s", err)
		return false
	case !info.IsDir():
		f.add(check, Fail, "set dataDir to a directory", "%s is no directory", c.DataDir)
		return false
	case info.Mode().Perm()&0o077 != 0:
		f.add(check, Warn, "run: chmod 700 "+c.DataDir, "%s is open to other users (mode %04o)", c.DataDir, info.Mode().Perm())
	default:
		f.add(check, OK, "", "%s", c.DataDir)
	}
	f.writable(check, c.DataDir)
	f.space(c.DataDir)
	return f.lock(c.DataDir)
}

// nearest returns the innermost directory above path that exists.
func nearest(path string) string {
	for {
		parent := filepath.Dir(path)
		if exists(parent) || parent == path {
			return parent
		}
		path = parent
	}
}

// accessWrite is W_OK of access(2).
const accessWrite = 2

func (f *findings) writable(check, dir string) {
	if err := syscall.Access(dir, accessWrite); err != nil {
		f.add(check, Fail, "give it to the user that runs the host, or choose another", "%s cannot be written to: %s", dir, err)
	}
}

func (f *findings) space(dir string) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		f.add("disk space", Warn, "", "not known: %s", err)
		return
	}
	free := stat.Bavail * uint64(max(stat.Bsize, 0))
	text := fmt.Sprintf("%d MiB free in %s", free>>20, dir)
	switch {
	case free < noSpace:
		f.add("disk space", Fail, "free some space: without it no message can be claimed, and calls are refused", "%s", text)
	case free < lowSpace:
		f.add("disk space", Warn, "free some space", "%s", text)
	default:
		f.add("disk space", OK, "", "%s", text)
	}
}

// lock looks whether a host holds the directory. It takes the lock for a moment,
// shared, so that two doctors do not see each other.
func (f *findings) lock(dir string) (running bool) {
	file, err := os.Open(filepath.Join(dir, "host.lock"))
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		f.add("running host", Info, "", "a host runs in this directory; what it makes of its packages, patchbay adapter show tells")
		return true
	}
	return false
}

// key checks the key file, and reports whether there is one that may be read.
func (f *findings) key(c *config.Config) bool {
	return f.secretFile("key file", c.KeyFile, exists(c.SQLiteFile()),
		"bring it back from a backup: without it the stored requests and settings cannot be read")
}

func (f *findings) adminToken(c *config.Config) {
	f.secretFile("admin token", c.AdminTokenFile, false, "")
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// secretFile checks a file that only its owner may use; needed says that the host
// cannot simply make a new one, and missing what to do then. It reports whether a
// host would read the file.
func (f *findings) secretFile(check, name string, needed bool, missing string) bool {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && needed:
		f.add(check, Fail, missing, "%s is missing", name)
	case errors.Is(err, fs.ErrNotExist):
		f.add(check, OK, "", "%s does not exist yet; the first start makes it", name)
	case err != nil:
		f.add(check, Fail, "let the user that runs the host read it", "%s", err)
	case !info.Mode().IsRegular():
		f.add(check, Fail, "put a regular file there", "%s is not a regular file", name)
	case info.Mode().Perm()&0o077 != 0:
		f.add(check, Fail, "run: chmod 600 "+name+"; replace it if someone may have read it",
			"others than its owner may use %s (mode %04o)", name, info.Mode().Perm())
	default:
		f.add(check, OK, "", "%s", name)
		return true
	}
	return false
}
