package crmhttp

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// minSecret is the shortest secret that is cut out of a text. A text that
	// holds a shorter one is dropped as a whole: it could not be read any more.
	minSecret = 4
	// maxExcerpt is the longest foreign text in an error, in bytes.
	maxExcerpt = 300
)

// scrubber takes the secrets of one request out of texts.
type scrubber struct {
	secrets []string // longest first
	tiny    []string
}

// scrubber returns the scrubber for the request. It is made when an error is:
// most requests need none.
func (x *exchange) scrubber() *scrubber {
	var s scrubber
	s.credentials(x.call.AuthHeader.Reveal())
	s.headers(x.client.cfg.Header)
	s.headers(x.sent.Header)
	s.address(x.sent.Path, x.sent.Query)
	slices.SortFunc(s.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return &s
}

// credentials adds an Authorization header: the whole of it, what follows the
// scheme, its parts, and what Basic credentials decode to.
func (s *scrubber) credentials(header string) {
	header = strings.TrimSpace(header)
	s.add(header)
	scheme, token, found := strings.Cut(header, " ")
	if !found {
		return
	}
	token = strings.TrimSpace(token)
	s.add(token)
	for _, part := range strings.FieldsFunc(token, func(r rune) bool { return strings.ContainsRune(`",; `, r) }) {
		_, value, _ := strings.Cut(part, "=")
		if s.addLong(part); value != "" {
			s.addLong(value)
		}
	}
	if !strings.EqualFold(scheme, "Basic") {
		return
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(token, "="))
	if err != nil {
		return
	}
	s.add(string(raw))
	for part := range strings.SplitSeq(string(raw), ":") {
		s.add(part)
	}
}

// public are headers whose values are no secrets.
var public = map[string]bool{
	"Accept": true, "Accept-Language": true, "Content-Type": true, "User-Agent": true, "If-Match": true, "If-None-Match": true, "Prefer": true,
}

// headers adds the values of all headers that may hold a secret.
func (s *scrubber) headers(h http.Header) {
	for name, values := range h {
		if public[textproto.CanonicalMIMEHeaderKey(name)] {
			continue
		}
		for _, v := range values {
			s.credentials(v)
		}
	}
}

// address adds what may be a secret in a URL: long values of the query, and long
// segments of the path that are no words, as the sessions of some CRMs. A short
// one is likelier an id, which helps in an error.
func (s *scrubber) address(path string, query url.Values) {
	for segment := range strings.SplitSeq(path, "/") {
		if len(segment) >= 4*minSecret && !isWord(segment) {
			s.add(segment)
		}
	}
	for _, values := range query {
		for _, v := range values {
			s.addLong(v)
		}
	}
}

// addLong adds a part of a secret when it is long enough to be one by itself.
func (s *scrubber) addLong(part string) {
	if len(part) >= 2*minSecret {
		s.add(part)
	}
}

// add adds a secret, also as it looks in a URL and in JSON.
func (s *scrubber) add(secret string) {
	switch {
	case secret == "":
		return
	case len(secret) < minSecret:
		s.tiny = append(s.tiny, secret)
		return
	}
	quoted, _ := json.Marshal(secret) // a string always encodes
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`)} {
		if !slices.Contains(s.secrets, form) {
			s.secrets = append(s.secrets, form)
		}
	}
}

// text returns text without the secrets.
func (s *scrubber) text(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	return text
}

// foreign returns a text that came from elsewhere without the secrets, on one
// line, and cut to maxExcerpt.
func (s *scrubber) foreign(text string) string {
	text = s.text(text)
	for _, secret := range s.tiny {
		if strings.Contains(text, secret) {
			return ""
		}
	}
	return printable(text, maxExcerpt)
}

// printable returns text on one line, without control and format characters, cut
// to at most that many bytes.
func printable(text string, most int) string {
	if len(text) > 8*most { // no need to look at more
		text = text[:8*most]
	}
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= most {
		return text
	}
	const mark = "..."
	end := max(most-len(mark), 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// cause returns err as the cause of a fault: its text without secrets, and the
// well-known error that it is. The error itself goes no further, for a message
// such as "malformed HTTP response" quotes what the CRM sent.
func (x *exchange) cause(err error) error {
	c := &cause{text: x.scrubber().foreign(err.Error())}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, errWindowClosed,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, known) {
			c.known = known
			break
		}
	}
	return c
}

type cause struct {
	text  string
	known error // nil when it is none of the well-known ones
}

func (c *cause) Error() string { return cmp.Or(c.text, "the cause holds a secret") }
func (c *cause) Unwrap() error { return c.known }
