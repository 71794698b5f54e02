package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// verifier walks the folder of a package and holds every file against
// checksums.txt.
type verifier struct {
	*contents
	missing map[string]bool // listed files not met yet
	bytes   int64
	entries int
	wrong   []string // what was found, in words
}

// maxShown is how many wrong files a problem names.
const maxShown = 5

// run returns nil when every file is listed and unchanged, and every listed file
// is there; a *Problem else, or ctx's error.
func (v *verifier) run(ctx context.Context) error {
	if err := v.folder(ctx, ".", 0); err != nil {
		return err
	}
	for file := range v.missing {
		v.wrong = append(v.wrong, file+" is missing")
	}
	if len(v.wrong) == 0 {
		return nil
	}
	slices.Sort(v.wrong)
	shown := v.wrong[:min(len(v.wrong), maxShown)]
	detail := "the files are not those of checksums.txt: " + strings.Join(shown, ", ")
	if more := len(v.wrong) - len(shown); more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	return problem(CauseDigestMismatch, remedyRestore, detail)
}

// folder walks one folder of the package.
func (v *verifier) folder(ctx context.Context, dir string, depth int) error {
	f, err := v.root.Open(dir)
	if err != nil {
		return problem(CauseDigestMismatch, "make the package readable", "a folder cannot be opened: "+cause(err).Error())
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			if err := v.entry(ctx, path.Join(dir, e.Name()), e, depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return problem(CauseDigestMismatch, "make the package readable", "a folder cannot be read: "+cause(err).Error())
		}
	}
}

func (v *verifier) entry(ctx context.Context, name string, e os.DirEntry, depth int) error {
	if v.entries++; v.entries > 2*maxFiles || depth > maxDepth {
		return problem(CauseDigestMismatch, remedyPack, "the package holds too many files or folders")
	}
	switch want, listed := v.files[name]; {
	case e.IsDir():
		return v.folder(ctx, name, depth+1)
	case name == manifest.ChecksumsFile:
		return nil
	case !e.Type().IsRegular():
		v.wrong = append(v.wrong, shownPath(name)+" is not a regular file")
	case !listed:
		v.wrong = append(v.wrong, shownPath(name)+" is not listed")
	default:
		return v.file(ctx, name, want)
	}
	delete(v.missing, name)
	return nil
}

// file holds one file against its digest.
func (v *verifier) file(ctx context.Context, name, want string) error {
	delete(v.missing, name)
	f, err := openRegular(v.root, name)
	if err != nil {
		v.wrong = append(v.wrong, name+" cannot be read")
		return nil
	}
	defer f.Close()
	h := sha256.New()
	n, err := copyUntil(ctx, h, io.LimitReader(f, maxPackageBytes-v.bytes+1))
	switch v.bytes += n; {
	case ctx.Err() != nil:
		return ctx.Err()
	case v.bytes > maxPackageBytes:
		return problem(CauseDigestMismatch, remedyPack, "the package is larger than 4 GiB")
	case err != nil:
		v.wrong = append(v.wrong, name+" cannot be read")
	case hex.EncodeToString(h.Sum(nil)) != want:
		v.wrong = append(v.wrong, name+" has changed")
	}
	return nil
}

// copyUntil copies src to dst until src ends, or ctx.
func copyUntil(ctx context.Context, dst io.Writer, src io.Reader) (int64, error) {
	const piece = 1 << 20
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := io.CopyN(dst, src, piece)
		total += n
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// shownPath returns the name of a file that stands in no list, as it may be shown.
func shownPath(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name[:min(len(name), maxPathBytes)])
}
