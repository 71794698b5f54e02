package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// privateCopy copies r into a new file in the directory, which is the host's
// alone, and takes the right to write away.
func privateCopy(r io.Reader, dir string) (*image, error) {
	w, err := os.CreateTemp(dir, "image-")
	if err != nil {
		return nil, fmt.Errorf("make a private copy: %w", err)
	}
	_, err = io.Copy(w, r)
	err = errors.Join(err, w.Chmod(0o500), w.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a private copy: %w", err), os.Remove(w.Name()))
	}
	f, err := os.Open(w.Name()) // nothing may run a file that is open for writing
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the private copy: %w", err), os.Remove(w.Name()))
	}
	return &image{file: f, path: f.Name(), remove: func() error { return os.Remove(f.Name()) }}, nil
}
