package catalog

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// The sizes of a package.
const (
	maxChecksumsBytes = 4 << 20
	maxFiles          = 20_000
	maxDepth          = 32
	maxPathBytes      = 1024
	maxPackageBytes   = 4 << 30
)

// parseChecksums reads checksums.txt: lines of 64 lower-case hex digits, two
// spaces and a path, each ended by a newline.
func parseChecksums(data []byte) (map[string]string, error) {
	text, ended := strings.CutSuffix(string(data), "\n")
	if !ended {
		return nil, errors.New("does not end with a newline")
	}
	files := map[string]string{}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		if number++; number > maxFiles {
			return nil, fmt.Errorf("lists more than %d files", maxFiles)
		}
		digest, path, ok := strings.Cut(line, "  ")
		if !ok || !isDigest(digest) {
			return nil, fmt.Errorf("line %d is not a SHA-256 in lower-case hex, two spaces and a path", number)
		}
		if !validPath(path) {
			return nil, fmt.Errorf("line %d has a path that may not stand in a package", number)
		}
		if _, twice := files[path]; twice {
			return nil, fmt.Errorf("line %d names a file a second time", number)
		}
		files[path] = digest
	}
	if _, ok := files[manifest.ManifestFile]; !ok {
		return nil, errors.New("does not list manifest.json")
	}
	return files, nil
}

// formatChecksums is the inverse of parseChecksums, with lines sorted by path.
func formatChecksums(files map[string]string) []byte {
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	var b strings.Builder
	for _, path := range paths {
		b.WriteString(files[path] + "  " + path + "\n")
	}
	return []byte(b.String())
}

// isDigest reports whether text is a SHA-256 in lower-case hex.
func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32 && strings.ToLower(text) == text
}

// validPath reports whether path may name a file of a package: relative, clean,
// without parent segments, printable, and not checksums.txt itself.
func validPath(path string) bool {
	odd := func(r rune) bool { return r == '\\' || r == unicode.ReplacementChar || !unicode.IsPrint(r) }
	return len(path) <= maxPathBytes && fs.ValidPath(path) && path != "." && path != manifest.ChecksumsFile &&
		strings.Count(path, "/") < maxDepth && !strings.ContainsFunc(path, odd)
}
