package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

const (
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 64 << 20
	// clientTimeout bounds one request; a call waits at most 10 minutes by the
	// host's own limits.
	clientTimeout = 11 * time.Minute
)

// client talks to one host.
type client struct {
	server *url.URL
	token  sdk.Secret
	here   bool   // the host is on this machine
	sent   string // which token goes along, in words
	http   *http.Client
}

// request is one request to the host.
type request struct {
	method string
	path   string // with escaped segments
	query  url.Values
	body   any // nil for none; a json.RawMessage is sent as it is
	header http.Header
}

// sendError is a request that got no answer of the host.
type sendError struct {
	mayHaveHappened bool
	err             error
}

func (e *sendError) Error() string { return e.err.Error() }
func (e *sendError) Unwrap() error { return e.err }

func newClient(server string, token sdk.Secret) (*client, error) {
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, usagef("--server must be a URL such as http://127.0.0.1:8080")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return &client{server: u, token: token, http: &http.Client{
		Timeout: clientTimeout,
		// A redirect would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// loopback reports whether the server is reached without a network.
func (c *client) loopback() bool {
	host := c.server.Hostname()
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// do sends the request and decodes the answer into out, which may be nil. It
// returns the answer as it came. The error is a *problem when the host answered
// with one, and a *sendError when no answer came.
func (c *client) do(ctx context.Context, r request, out any) (json.RawMessage, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unsent(r.method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if err != nil {
		return nil, &sendError{r.method == http.MethodPost, fmt.Errorf("read the answer of %s: %w", c.server, err)}
	}
	if resp.StatusCode >= 300 {
		return nil, c.problemOf(resp, body)
	}
	if out != nil {
		if err := json.Unmarshal(body, out); err != nil {
			return nil, fmt.Errorf("read the answer of %s: it is not the JSON that was expected: %w", c.server, err)
		}
	}
	return body, nil
}

func (c *client) build(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	target := c.server.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	req.GetBody = nil // net/http must not send anything twice by itself
	maps.Copy(req.Header, r.header)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	return req, nil
}

// unsent says what is known of a request without an answer. Only a POST makes
// something new each time; all others may simply be sent again.
func (c *client) unsent(method string, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &sendError{false, fmt.Errorf("reach the host at %s: %w (is it running? start it with: patchbay serve; "+
			"if it listens elsewhere, say where with --server URL, PATCHBAY_SERVER, or its configuration: --config FILE)", c.server, err)}
	}
	return &sendError{method == http.MethodPost, fmt.Errorf("reach the host at %s: %w", c.server, err)}
}

func (c *client) problemOf(resp *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	p := &problem{raw: body, retryAfter: resp.Header.Get("Retry-After"), sent: c.sent}
	if kind != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Code == "" {
		return fmt.Errorf("the server at %s answered %s, which is no answer of a Patchbay host: check --server and PATCHBAY_SERVER", c.server, resp.Status)
	}
	return p
}

// page is one page of a list.
type page struct {
	Items      []json.RawMessage `json:"items"`
	NextCursor string            `json:"nextCursor,omitempty"`
}

// maxPage is the most items that the host puts into one page.
const maxPage = 500

// unpaged is the limit of a list that the host does not cut into pages.
const unpaged = math.MinInt

// list collects up to limit items of a list, page by page; 0 collects all.
// NextCursor is set when there are more.
func (c *client) list(ctx context.Context, path string, query url.Values, limit int) (page, error) {
	all := page{Items: []json.RawMessage{}}
	if limit == unpaged {
		_, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, &all)
		return all, err
	}
	if query == nil {
		query = url.Values{}
	}
	for {
		size := maxPage
		if limit > 0 {
			size = min(size, limit-len(all.Items))
		}
		query.Set("limit", strconv.Itoa(size))
		var next page
		if _, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, &next); err != nil {
			return all, err
		}
		all.Items = append(all.Items, next.Items...)
		all.NextCursor = next.NextCursor
		if next.NextCursor == "" || len(next.Items) == 0 || (limit > 0 && len(all.Items) >= limit) {
			return all, nil
		}
		query.Set("cursor", next.NextCursor)
	}
}

// pathOf builds a path of escaped segments.
func pathOf(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}
