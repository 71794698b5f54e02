package launch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// maxExecutableBytes is the largest executable that is run.
const maxExecutableBytes = 1 << 30

// image is a verified executable that cannot change any more.
type image struct {
	file *os.File
	// path is where a child finds the image between fork and exec.
	path string
	// problem says why this machine cannot run it; nil when it can.
	problem *supervisor.StartError
	// remove deletes the private copy, where one was made.
	remove func() error
}

// images keeps one image per digest, until it is dropped.
type images struct {
	mu       sync.Mutex
	byDigest map[string]*imageEntry
}

// imageEntry is an image that is there, or being copied by the first who asked
// for it.
type imageEntry struct {
	ready chan struct{}
	image *image
	err   error

	// Guarded by the mu of images.
	starts  int  // that use it
	dropped bool // closed once no start uses it
}

// get returns the image with that digest, made from the file at path when it is
// the first to ask, and what gives it back: a start needs it until its process has
// become the program. A failure is not kept: the file may be mended.
func (s *images) get(path, digest, private string) (*image, func(), error) {
	e, err := s.entry(path, digest, private)
	if err != nil {
		s.giveBack(e)
		return nil, nil, err
	}
	return e.image, sync.OnceFunc(func() { s.giveBack(e) }), nil
}

// entry returns the entry with that digest, of which one more start holds the image.
func (s *images) entry(path, digest, private string) (*imageEntry, error) {
	s.mu.Lock()
	e, ok := s.byDigest[digest]
	if ok && e.lost() {
		s.discard(digest, e) // of a file that nobody can find any more
		ok = false
	}
	if !ok {
		e = &imageEntry{ready: make(chan struct{})}
		if s.byDigest == nil {
			s.byDigest = make(map[string]*imageEntry)
		}
		s.byDigest[digest] = e
	}
	e.starts++
	s.mu.Unlock()
	if ok {
		<-e.ready
		return e, e.err
	}
	e.image, e.err = load(path, digest, private)
	if e.err != nil {
		s.mu.Lock()
		if s.byDigest[digest] == e {
			delete(s.byDigest, digest)
		}
		s.mu.Unlock()
	}
	close(e.ready)
	return e, e.err
}

// giveBack ends what entry began.
func (s *images) giveBack(e *imageEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.starts--
	e.closeUnused()
}

// drop forgets the image with that digest. Starts that use it go on.
func (s *images) drop(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byDigest[digest]; ok {
		s.discard(digest, e)
	}
}

// discard takes the entry out. The caller holds mu.
func (s *images) discard(digest string, e *imageEntry) {
	delete(s.byDigest, digest)
	e.dropped = true
	e.closeUnused()
}

// closeUnused closes a dropped image that no start uses. What runs keeps its own
// hold on the bytes. The caller holds the mu of images.
func (e *imageEntry) closeUnused() {
	if e.dropped && e.starts == 0 && e.image != nil {
		_ = e.image.close() // it was only read, and its private copy may be gone
		e.image = nil
	}
}

// lost reports whether the entry's image is a private copy that was removed, as
// cleaners of temporary directories do. One that is being made is not.
func (e *imageEntry) lost() bool {
	if !closed(e.ready) || e.err != nil || e.image.remove == nil {
		return false
	}
	_, err := os.Lstat(e.image.path)
	return errors.Is(err, fs.ErrNotExist)
}

// close gives every image back. No start may be under way.
func (s *images) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for digest, e := range s.byDigest {
		errs = append(errs, e.image.close())
		delete(s.byDigest, digest)
	}
	return errors.Join(errs...)
}

func (i *image) close() error {
	err := i.file.Close()
	if i.remove != nil {
		if gone := i.remove(); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// load copies the file, checks the copy's digest and looks at what it is.
func load(path, digest, private string) (*image, error) {
	src, err := openExecutable(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	hash := sha256.New()
	img, err := seal(io.TeeReader(io.LimitReader(src, maxExecutableBytes+1), hash), private)
	if err != nil {
		return nil, &supervisor.StartError{Cause: supervisor.LaunchFailed, Err: fmt.Errorf("copy the executable: %w", err)}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != digest {
		return nil, errors.Join(&supervisor.StartError{
			Cause:  supervisor.DigestMismatch,
			Detail: fmt.Sprintf("SHA-256 is %s, not %s", got, digest),
		}, img.close())
	}
	head, err := io.ReadAll(io.NewSectionReader(img.file, 0, headBytes))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the executable's head: %w", err), img.close())
	}
	img.problem = inspect(head, img.file)
	img.usePath(bytes.HasPrefix(head, []byte("#!")))
	return img, nil
}

// openExecutable opens the file if it is one that can be run.
func openExecutable(path string) (*os.File, error) {
	f, err := openNonblocking(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &supervisor.StartError{Cause: supervisor.NotInstalled, Err: err}
	}
	if err != nil {
		return nil, &supervisor.StartError{Cause: supervisor.NotExecutable, Err: err}
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("is not a regular file")
	case info.Mode().Perm()&0o111 == 0:
		err = fmt.Errorf("has mode %s", info.Mode())
	case info.Size() > maxExecutableBytes:
		err = fmt.Errorf("is larger than %d bytes", maxExecutableBytes)
	default:
		return f, nil
	}
	return nil, errors.Join(&supervisor.StartError{Cause: supervisor.NotExecutable, Err: err}, f.Close())
}
