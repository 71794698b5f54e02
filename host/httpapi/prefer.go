package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waitOf reads "wait" of the Prefer headers (RFC 7240): whole seconds, at most
// limit. The first one counts. A malformed one is ignored, as the RFC wants, and
// so is 0. applied is for Preference-Applied, empty when there is none.
// respond-async is not honoured: every answer tells the outcome.
func waitOf(h http.Header, limit time.Duration) (wait time.Duration, applied string) {
	for _, header := range h.Values("Prefer") {
		for _, preference := range splitQuoted(header, ',') {
			name, value, _ := strings.Cut(splitQuoted(preference, ';')[0], "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil || seconds == 0 {
				return 0, ""
			}
			wait = min(time.Duration(seconds)*time.Second, limit)
			return wait, "wait=" + strconv.FormatInt(int64(wait/time.Second), 10)
		}
	}
	return 0, ""
}

// splitQuoted splits text at sep, but not inside of quoted strings. It returns at
// least one part.
func splitQuoted(text string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}
