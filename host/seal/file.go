package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// maxFile is the largest key file that is read. One key takes some 300 bytes.
const maxFile = 1 << 20

// Open reads the key file, and makes it with one new key when there is none: mode
// 0600, complete or not at all, on the disk before Open returns. Of several
// processes that start at once, one makes the file and all use it.
//
// A file that others than its owner may read or write is refused.
func Open(path string) (*Sealer, error) {
	sealer, _, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make key file %s: %w", path, err)
		}
		sealer, _, err = read(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	return sealer, nil
}

// Rotate adds a new key to the key file and makes it the primary one; the others
// still unseal. The file is replaced in one step; rotations at the same time take
// turns. A host uses the new key from its next start on: hosts that share a
// database must all have the new file before one of them starts with it, for
// those with the old one cannot unseal what it seals.
func Rotate(path string) error {
	unlock, err := lock(path)
	if err != nil {
		return fmt.Errorf("rotate key file %s: %w", path, err)
	}
	defer unlock()
	_, handle, err := read(path)
	if err != nil {
		return fmt.Errorf("rotate key file %s: %w", path, err)
	}
	content, err := withNewKey(handle)
	if err != nil {
		return fmt.Errorf("rotate key file %s: %w", path, err)
	}
	if err := write(path, content, os.Rename); err != nil {
		return fmt.Errorf("rotate key file %s: %w", path, err)
	}
	return nil
}

func read(path string) (*Sealer, *keyset.Handle, error) {
	// O_NONBLOCK: a FIFO in the file's place must not hang the start.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, errors.New("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, nil, fmt.Errorf("others than its owner may use it (mode %04o): run `chmod 600 %s`; "+
			"whoever read it can read the database, so renew the credentials stored there if someone may have", info.Mode().Perm(), path)
	case info.Size() > maxFile:
		return nil, nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, nil, err
	}
	return parse(content)
}

// create makes the file unless it exists by then.
func create(path string) error {
	content, err := withNewKey(nil)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces the file of a faster process.
	return write(path, content, func(from, to string) error {
		defer os.Remove(from)
		if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// write brings the content to the disk beside path and then puts it in place.
func write(path string, content []byte, place func(from, to string) error) (err error) {
	part := path + "." + rand.Text() + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if err := place(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the directory's entries durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// lock waits for the lock on the key file's directory, which outlives the file
// that Rotate replaces.
func lock(path string) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir.Name(), err), dir.Close())
	}
	return func() { dir.Close() }, nil
}
