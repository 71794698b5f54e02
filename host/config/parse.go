package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// duration reads a Go duration within bounds.
func duration(text string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration; write a number with a unit, such as 500ms, 20s or 72h", text)
	}
	if d < least || d > most {
		return 0, fmt.Errorf("%s is out of range; it must be between %s and %s", text, least, most)
	}
	return d, nil
}

// sizeUnits are the units that size knows, longest name first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"B", 1},
	{"", 1},
}

// size reads a number of bytes with an optional unit, within bounds.
func size(text string, least, most int64) (int64, error) {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit.bytes {
			break
		}
		if n *= unit.bytes; n < least || n > most {
			return 0, fmt.Errorf("%s is out of range; it must be between %d and %d bytes", text, least, most)
		}
		return n, nil
	}
	return 0, fmt.Errorf("%q is no size; write a number of bytes or one with a unit, such as 512KiB or 1MiB", text)
}

func integer(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q must be a whole number", text)
	}
	return n, nil
}

func decimal(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q must be a number", text)
	}
	return n, nil
}

func anyDuration(text string) (time.Duration, error) {
	return duration(text, math.MinInt64, math.MaxInt64)
}

func boolean(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q must be true or false", text)
}

// listen checks that the text is host:port with a port number.
func listen(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q is no address; write host:port, such as 127.0.0.1:8080, or :8080 for every interface", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("%q has no port number between 0 and 65535", text)
	}
	return text, nil
}

func path(text string) (string, error) {
	if text == "" || strings.ContainsRune(text, 0) {
		return "", errors.New("must be a path, not empty")
	}
	return text, nil
}

// database accepts what this version can open.
func database(text string) (string, error) {
	switch scheme, _, hasScheme := strings.Cut(text, "://"); {
	case text == "sqlite":
		return text, nil
	case hasScheme && (scheme == "postgres" || scheme == "postgresql"):
		// The text is not repeated: it may hold a password.
		return "", errors.New("PostgreSQL is not available in this version; use sqlite, which keeps its file in dataDir")
	case hasScheme:
		return "", errors.New("is no database that this version knows; use sqlite")
	default:
		return "", fmt.Errorf("%q is no database that this version knows; use sqlite", text)
	}
}

func logLevel(text string) (slog.Level, error) {
	switch text {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q must be debug, info, warn or error", text)
}

func logFormat(text string) (string, error) {
	if text != "text" && text != "json" {
		return "", fmt.Errorf("%q must be text or json", text)
	}
	return text, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// privateHost checks one item of allowPrivate.
func privateHost(text string) error {
	if _, err := netip.ParseAddr(text); err == nil {
		return nil
	}
	if _, err := netip.ParsePrefix(text); err == nil {
		return nil
	}
	if len(text) <= 253 && hostName.MatchString(text) {
		return nil
	}
	return fmt.Errorf("%q is no IP address, network or host name; write 127.0.0.1, 10.0.0.0/8 or crm.internal, without scheme and port", text)
}
