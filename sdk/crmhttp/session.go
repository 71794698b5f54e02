package crmhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/patchbay-crm/patchbay/sdk"
)

// Session is a Client that speaks for one call: it knows the call's host,
// credentials and send window. It is cheap; its methods may be called
// concurrently. Every error they return is a *fault.Error, classed as the
// package comment says, and may be handed on as it is.
type Session struct {
	client  *Client
	call    sdk.CRMCall
	window  window // zero when the call has none
	origin  *url.URL
	refusal error // why the call's host may not be called
}

// Request is one request to a CRM.
type Request struct {
	// Method is the HTTP method, in upper case. Empty means GET.
	Method string
	// Path is what follows the base URL. It begins with a slash and holds no
	// query. Use Path to put values into one.
	Path string
	// Query is the query.
	Query url.Values
	// Header is sent beside the client's own, and overrides it. An Authorization
	// header given here replaces the call's. Its values are kept out of errors.
	Header http.Header
	// JSON is encoded as the body when it is not nil.
	JSON any
	// Body is the body when JSON is nil, and ContentType its type.
	Body        []byte
	ContentType string
	// ReadOnly declares that the request changes nothing in the CRM although its
	// method is not GET, as a search by POST. It is then not bound to the send
	// window, its failures are not of class Unknown by themselves, and later ones
	// of the call stay as definite as they are. Left out, a search that succeeds
	// counts as a write that stands, and a refusal after it locks the messages.
	// Declared wrongly, it lets messages be logged twice.
	ReadOnly bool
}

// Response is what the CRM answered.
type Response struct {
	// Status is the HTTP status code.
	Status int
	// Header holds the response's headers.
	Header http.Header
	// Body is the whole body, decompressed, at most Config.MaxResponse bytes; of
	// a failed request at most 64 KiB. It is what the CRM sent, unscrubbed: it
	// belongs neither in a log nor in an error.
	Body []byte
}

// Do sends a request. It is for what the JSON methods do not cover, such as a
// CRM that answers in the Location header. When the CRM answered, the response is
// returned beside the error too.
func (s *Session) Do(ctx context.Context, r Request) (*Response, error) {
	x := s.begin(r)
	resp, f := x.do(ctx, r, true)
	if f != nil {
		return resp, x.settle(f)
	}
	return resp, nil
}

// GetJSON gets path and decodes the answer into out.
func (s *Session) GetJSON(ctx context.Context, path string, query url.Values, out any) error {
	return s.exchange(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, out)
}

// PostJSON posts in as JSON and decodes the answer into out. A nil in sends no
// body; a nil out ignores the answer's. With an out, a success without a body
// that out can take is a fault of class Unknown: the CRM has acted, and nobody
// knows under which ID.
func (s *Session) PostJSON(ctx context.Context, path string, in, out any) error {
	return s.exchange(ctx, Request{Method: http.MethodPost, Path: path, JSON: in}, out)
}

// PutJSON puts in as JSON, as PostJSON posts it.
func (s *Session) PutJSON(ctx context.Context, path string, in, out any) error {
	return s.exchange(ctx, Request{Method: http.MethodPut, Path: path, JSON: in}, out)
}

// PatchJSON patches with in as JSON, as PostJSON posts it.
func (s *Session) PatchJSON(ctx context.Context, path string, in, out any) error {
	return s.exchange(ctx, Request{Method: http.MethodPatch, Path: path, JSON: in}, out)
}

// Delete deletes path and ignores the answer's body.
func (s *Session) Delete(ctx context.Context, path string) error {
	return s.exchange(ctx, Request{Method: http.MethodDelete, Path: path}, nil)
}

// QueryJSON posts in as JSON to an endpoint that only searches, and decodes the
// answer into out. It is a read: FindMessageLog may use it. See Request.ReadOnly.
func (s *Session) QueryJSON(ctx context.Context, path string, in, out any) error {
	return s.exchange(ctx, Request{Method: http.MethodPost, Path: path, JSON: in, ReadOnly: true}, out)
}

func (s *Session) exchange(ctx context.Context, r Request, out any) error {
	x := s.begin(r)
	resp, f := x.do(ctx, r, out != nil)
	if f == nil && out != nil {
		if problem := decode(resp.Body, out); problem != "" {
			f = x.unusable(resp.Status, problem)
		}
	}
	if f != nil {
		return x.settle(f)
	}
	return nil
}

// decode returns in words why body cannot be decoded into out, "" when it was.
// The decoder's own error quotes the body, so it goes no further.
func decode(body []byte, out any) string {
	switch body = bytes.TrimSpace(body); {
	case len(body) == 0:
		return "no body"
	case string(body) == "null":
		return "a body of null"
	case !json.Valid(body):
		return "a body that is not JSON"
	case json.Unmarshal(body, out) != nil:
		return "a body of another form than expected"
	}
	return ""
}
