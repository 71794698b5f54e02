package crmhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
)

// outgoing is a Request made ready.
type outgoing struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
	write  bool
	label  string // "POST /activities/{}", for errors
}

// isRead reports whether the method is one that changes nothing.
func isRead(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func (r Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func (r Request) write() bool   { return !r.ReadOnly && !isRead(r.method()) }
func (r Request) label() string { return printable(r.method(), 16) + " " + pathTemplate(r.Path) }

// prepare makes r ready to be sent. An error is the adapter's fault.
func (s *Session) prepare(r Request) (*outgoing, error) {
	o := &outgoing{method: r.method(), write: r.write(), label: r.label()}
	if !isToken(o.method) || o.method != strings.ToUpper(o.method) || o.method == http.MethodConnect || o.method == http.MethodTrace {
		return nil, errors.New("the method is not one that can be sent")
	}
	var err error
	if o.url, err = join(s.origin, r.Path); err != nil {
		return nil, err
	}
	o.url.RawQuery = r.Query.Encode()
	contentType := r.ContentType
	o.body = r.Body
	if r.JSON != nil {
		if o.body, err = encode(r.JSON); err != nil {
			return nil, err
		}
		contentType = "application/json"
	}
	if int64(len(o.body)) > s.client.cfg.MaxRequest {
		return nil, fmt.Errorf("the body is larger than %d bytes", s.client.cfg.MaxRequest)
	}
	o.header, err = s.headers(r.Header, contentType, o.body != nil)
	return o, err
}

// encode returns v as JSON. The encoder's error may quote a value, so it is
// replaced.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the body is no web page; notes in HTML stay short
	if enc.Encode(v) != nil {
		return nil, errors.New("the body cannot be encoded as JSON")
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// headers merges the client's headers, the call's credentials and the request's
// own headers, later ones winning.
func (s *Session) headers(own http.Header, contentType string, hasBody bool) (http.Header, error) {
	if err := checkHeaders(own); err != nil {
		return nil, err
	}
	h := http.Header{"Accept": {"application/json"}, "User-Agent": {s.client.cfg.UserAgent}}
	copyHeaders(h, s.client.cfg.Header)
	if !s.call.AuthHeader.IsZero() {
		h["Authorization"] = []string{s.call.AuthHeader.Reveal()}
	}
	if hasBody && contentType != "" {
		h["Content-Type"] = []string{contentType}
	}
	copyHeaders(h, own)
	return h, checkHeader("Content-Type", contentType)
}

// copyHeaders sets src's headers in dst. net/http repeats a request by itself
// when it finds an idempotency key under its canonical name, a send that nobody
// counted; in lower case it goes out just the same and net/http does not know it.
func copyHeaders(dst, src http.Header) {
	for name, values := range src {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name == "Idempotency-Key" || name == "X-Idempotency-Key" {
			name = strings.ToLower(name)
		}
		dst[name] = values
	}
}

// request returns o for net/http. Its body cannot be rewound, so net/http cannot
// send it a second time.
func (o *outgoing) request(ctx context.Context, g *guard) (*http.Request, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { g.carry(info.Conn, info.Reused) },
	})
	req, err := http.NewRequestWithContext(ctx, o.method, o.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = maps.Clone(o.header)
	if len(o.body) > 0 {
		req.Body, req.ContentLength = onceReader{bytes.NewReader(o.body)}, int64(len(o.body))
	}
	return req, nil
}

// onceReader hides everything of a reader but Read.
type onceReader struct{ r io.Reader }

func (o onceReader) Read(p []byte) (int, error) { return o.r.Read(p) }
func (onceReader) Close() error                 { return nil }

// managed are the headers that net/http or this package must set.
var managed = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Upgrade": true,
	"Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Expect": true, "Accept-Encoding": true,
}

// checkHeaders returns every fault of h, naming headers but no values.
func checkHeaders(h http.Header) error {
	var faults []error
	for name, values := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !isToken(name):
			faults = append(faults, errors.New("a header's name is malformed"))
			continue
		case managed[canonical]:
			faults = append(faults, fmt.Errorf("the header %s cannot be set", canonical))
		}
		for _, v := range values {
			faults = append(faults, checkHeader(canonical, v))
		}
	}
	return errors.Join(faults...)
}

// checkHeader reports a value that cannot stand in a header.
func checkHeader(name, value string) error {
	for i := range len(value) {
		if c := value[i]; c != '\t' && c < 0x20 || c == 0x7f {
			return fmt.Errorf("the header %s holds a control character", name)
		}
	}
	return nil
}

// isToken reports whether text is a token of RFC 9110.
func isToken(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return text != ""
}
