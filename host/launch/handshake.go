package launch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-crm/patchbay/host/supervisor"
)

const (
	// maxHandshakeBytes is the longest first line. go-plugin's own has about 100.
	maxHandshakeBytes = 8 << 10
	// coreProtocol is the version of go-plugin's handshake.
	coreProtocol = 1
)

// readHandshake reads the first line. It returns io.EOF when standard output
// ended before, and a *supervisor.StartError for a line that is no handshake of
// ours. dir is where the socket must lie, speaks the protocol versions of which
// the adapter must have chosen one.
func readHandshake(r *bufio.Reader, dir string, speaks []int) (line string, socket string, err error) {
	raw, err := readLine(r, maxHandshakeBytes)
	if err != nil {
		return "", "", err
	}
	line = strings.TrimSpace(string(raw))
	parts := strings.Split(line, "|")
	core, coreErr := strconv.Atoi(parts[0])
	if len(parts) < 4 || coreErr != nil {
		return "", "", &supervisor.StartError{
			Cause:  supervisor.StdoutNoise,
			Detail: fmt.Sprintf("the first line on standard output is %q", clean(raw, 200)),
		}
	}
	mismatch := func(format string, args ...any) error {
		return &supervisor.StartError{Cause: supervisor.ProtocolMismatch, Detail: fmt.Sprintf(format, args...)}
	}
	version, versionErr := strconv.Atoi(parts[1])
	switch {
	case core != coreProtocol:
		return "", "", mismatch("the adapter speaks version %d of the handshake, this host version %d", core, coreProtocol)
	case versionErr != nil || !slices.Contains(speaks, version):
		return "", "", mismatch("the adapter speaks protocol version %s, this host %s", clean([]byte(parts[1]), 20), versions(speaks))
	case len(parts) < 5 || parts[4] != "grpc":
		return "", "", mismatch("the adapter does not speak gRPC")
	case parts[2] != "unix":
		return "", "", mismatch("the adapter listens on %q, not on a Unix socket", clean([]byte(parts[2]), 20))
	case len(parts[3]) > maxSocketPath:
		return "", "", &supervisor.StartError{
			Cause: supervisor.SocketPathTooLong, Detail: fmt.Sprintf("the socket's path is %d bytes long", len(parts[3])),
		}
	case filepath.Dir(filepath.Clean(parts[3])) != filepath.Clean(dir):
		return "", "", mismatch("the adapter's socket lies outside of its own directory")
	}
	return line, filepath.Clean(parts[3]), nil
}

// versions names protocol versions for people.
func versions(all []int) string {
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = strconv.Itoa(v)
	}
	if len(names) == 1 {
		return "version " + names[0]
	}
	return "versions " + strings.Join(names, ", ")
}

// readLine reads one line of at most limit bytes, and cuts what is longer.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for len(line) < limit {
		b, err := r.ReadByte()
		switch {
		case err != nil && len(line) > 0:
			return line, nil // output that ends within its first line is noise
		case err != nil:
			return nil, errors.Join(io.EOF, err)
		case b == '\n':
			return line, nil
		}
		line = append(line, b)
	}
	return line, nil
}
