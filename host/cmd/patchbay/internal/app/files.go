package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/patchbay-crm/patchbay/sdk"
)

const (
	// lockName is the file in the data directory that a running host holds locked.
	lockName = "host.lock"
	// runDirName is the directory of the records of running adapter processes.
	runDirName = "run"
	// adminTokenPrefix begins an admin token that a host made, so that a leaked one
	// is recognised.
	adminTokenPrefix = "pba_"
	// minAdminToken and maxAdminToken bound the length of an admin token in bytes.
	minAdminToken = 16
	maxAdminToken = 1024
)

// ErrLocked is a data directory that another host uses.
var ErrLocked = errors.New("another host uses this directory")

// makeDataDir makes the data directory, for its owner only.
func makeDataDir(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		log.Warn("data directory is open to other users", "data_dir", dir,
			"mode", info.Mode().Perm().String(), "remedy", "run: chmod 700 "+dir)
	}
	return nil
}

// lockDataDir locks the directory for this host; the file that it returns holds
// the lock until it is closed.
func lockDataDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: stop it, or give this one a dataDir of its own", ErrLocked)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// AdminToken reads the admin token from its file, and makes both when the file is
// missing. A file that others may read is refused.
func AdminToken(name string) (sdk.Secret, error) {
	token, err := readAdminToken(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAdminToken(name); err != nil {
			return sdk.Secret{}, fmt.Errorf("make admin token file %s: %w", name, err)
		}
		token, err = readAdminToken(name)
	}
	if err != nil {
		return sdk.Secret{}, fmt.Errorf("read admin token file %s: %w", name, err)
	}
	return token, nil
}

func readAdminToken(name string) (sdk.Secret, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe in its place must not hang the start
	if err != nil {
		return sdk.Secret{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return sdk.Secret{}, err
	case !info.Mode().IsRegular():
		return sdk.Secret{}, errors.New("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return sdk.Secret{}, fmt.Errorf("others than its owner may use it (mode %04o): run `chmod 600 %s`, "+
			"and replace the token if someone may have read it", info.Mode().Perm(), name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxAdminToken+1))
	if err != nil {
		return sdk.Secret{}, err
	}
	text := strings.TrimSpace(string(data))
	if len(text) < minAdminToken || len(data) > maxAdminToken || strings.ContainsFunc(text, notInWord) {
		return sdk.Secret{}, fmt.Errorf("it must hold one word of %d to %d bytes; delete the file to have a new token made", minAdminToken, maxAdminToken)
	}
	return sdk.NewSecret(text), nil
}

// notInWord reports what no word holds: white space and control characters.
func notInWord(r rune) bool { return r <= ' ' || r == 0x7f }

// makeAdminToken writes a new token, complete or not at all.
func makeAdminToken(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	part := name + "." + rand.Text() + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(part) }()
	_, err = fmt.Fprintln(f, adminTokenPrefix+strings.ToLower(rand.Text()))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link never replaces the file of a host that was faster.
	if err := os.Link(part, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
