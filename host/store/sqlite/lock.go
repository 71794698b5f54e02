package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lockFile takes the lock that keeps a second process, and a second Open in this
// one, from the database. It is given back when the file is closed or the process
// ends in whatever way; the file itself stays.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = errors.Join(file.Truncate(0), writePID(file))
	} else if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("it is in use by %s: stop that host, or give this one a data directory of its own", owner(file))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func writePID(file *os.File) error {
	_, err := fmt.Fprintf(file, "%d\n", os.Getpid())
	return err
}

// owner names the process that holds the lock, as far as the file says.
func owner(file *os.File) string {
	text := make([]byte, 20)
	n, err := file.ReadAt(text, 0)
	pid := strings.TrimSpace(string(text[:n]))
	if pid == "" {
		return fmt.Sprintf("another process (its id is not known: %v)", err)
	}
	return "process " + pid
}
