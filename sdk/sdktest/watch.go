package sdktest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
)

// The bounds of what is kept of a case's log, in bytes, and shown of it, in records.
const (
	maxLog   = 16 << 20
	maxShown = 20
)

// minSecret is the shortest part of a header that is looked for, in bytes: anything
// shorter stands in ordinary text, too.
const minSecret = 8

// inspect looks for the request's Authorization header in a text that leaves the
// adapter.
func inspect(r reporter, what string, req *sdk.AddMessageLogRequest, text string) {
	r.Helper()
	if clean := without(text, secretForms(req.AuthHeader.Reveal())); clean != text {
		r.Errorf("%s with the request's Authorization header in it: %s", what, clean)
	}
}

// answerText returns all that an answer shows.
func answerText(resp *sdk.AddMessageLogResponse) string {
	text := fmt.Sprintf("%q %q", resp.LogID, resp.LogURL)
	if m := resp.ReturnMessage; m != nil {
		text += fmt.Sprintf(" %q %q", m.MessageType, m.Message)
	}
	return text
}

// without returns the text with a mark in place of each of these.
func without(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "[the credentials]")
	}
	return text
}

// secretForms returns the texts in which an Authorization header may show: whole,
// its credentials alone, what they decode to and the parts of that; each also as it
// stands in a URL and in JSON. The longest come first where one holds another.
func secretForms(header string) []string {
	parts := []string{header}
	if _, credentials, found := strings.Cut(header, " "); found {
		credentials = strings.TrimSpace(credentials)
		parts = append(parts, credentials)
		if plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credentials, "=")); err == nil {
			user, password, _ := strings.Cut(string(plain), ":")
			parts = append(parts, string(plain), user, password)
		}
	}
	var forms []string
	for _, part := range parts {
		if len(part) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(part) // a string always encodes
		forms = append(forms, part, url.QueryEscape(part), url.PathEscape(part), strings.Trim(string(quoted), `"`))
	}
	return forms
}

// inspectLog looks for what must not be logged in all that the case has logged.
func (e *env) inspectLog(r reporter) {
	r.Helper()
	lines, secrets, whole := e.log.all()
	if !whole {
		r.Errorf("more than %d bytes were logged, too much to be looked through", maxLog)
	}
	for _, line := range lines {
		if clean := without(line.text, secrets); clean != line.text {
			r.Errorf("a request's Authorization header was logged: %.1000s", clean)
		}
		if line.level >= slog.LevelInfo && strings.Contains(line.text, e.word) {
			r.Errorf("the text of a message was logged at %s: %.1000s", line.level, without(line.text, secrets))
		}
	}
}

// captureLog has a logbook take what slog's default logger and package log write,
// until the test ends.
func captureLog(t *testing.T) *logbook {
	book := new(logbook)
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewJSONHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(output) // SetDefault has led the log package to slog
		log.SetFlags(flags)
	})
	return book
}

// logbook keeps the records of a log.
type logbook struct {
	mu      sync.Mutex
	kept    []logLine
	size    int
	full    bool
	headers map[string]bool // the Authorization headers that must not stand in it
}

// watch adds an Authorization header that must not stand in the log.
func (b *logbook) watch(header sdk.Secret) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.headers == nil {
		b.headers = map[string]bool{}
	}
	b.headers[header.Reveal()] = true
}

// logLine is one record of a log, as JSON.
type logLine struct {
	level slog.Level
	text  string
}

// Write takes one record, as slog's JSON handler writes it: the time comes first,
// then the level.
func (b *logbook) Write(p []byte) (int, error) {
	l := logLine{text: strings.TrimSpace(string(p))}
	_, rest, _ := strings.Cut(l.text, `"`+slog.LevelKey+`":"`)
	name, _, _ := strings.Cut(rest, `"`)
	err := l.level.UnmarshalText([]byte(name))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size += len(p); b.size > maxLog {
		b.full = true
		return len(p), err
	}
	b.kept = append(b.kept, l)
	return len(p), err
}

// all returns the records so far, what must not stand in them, and whether these are
// all records.
func (b *logbook) all() (lines []logLine, secrets []string, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, header := range sortedKeys(b.headers) {
		secrets = append(secrets, secretForms(header)...)
	}
	return slices.Clone(b.kept), secrets, !b.full
}

// show prints the end of the log when the test has failed.
func (b *logbook) show(t *testing.T) {
	if lines, secrets, _ := b.all(); t.Failed() && len(lines) > 0 {
		t.Log("the last records of this case's log:")
		for _, l := range lines[max(0, len(lines)-maxShown):] {
			t.Logf("%.1000s", without(l.text, secrets))
		}
	}
}
