package crmhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const (
	// maxRedirects is how many redirects a read follows.
	maxRedirects = 5
	// maxErrorBody bounds what is read of a body that only explains a failure, or
	// that nobody wants.
	maxErrorBody = 64 << 10
	// maxStale bounds how many dead connections of the pool one request may find.
	maxStale = 4
)

// exchange is one request and its answer.
type exchange struct {
	*Session
	label string // "POST /activities/{}"
	write bool
	sent  Request // for scrubbing
}

func (s *Session) begin(r Request) *exchange {
	return &exchange{Session: s, label: r.label(), write: r.write(), sent: r}
}

// do sends r and reads the answer. The response is returned beside a fault when
// there is one. Without wantBody the body of a success is ignored.
func (x *exchange) do(ctx context.Context, r Request, wantBody bool) (*Response, *fault.Error) {
	if f := x.admit(ctx); f != nil {
		return nil, f
	}
	o, err := x.prepare(r)
	if err != nil {
		return nil, x.fault(fault.AdapterFault, fault.Permanent, err.Error(), nil)
	}
	ctx, cancel := context.WithTimeout(ctx, x.client.cfg.Timeout)
	defer cancel()
	resp, g, err := x.follow(ctx, o)
	if err != nil {
		return nil, x.failed(err, g)
	}
	defer func() { _ = resp.Body.Close() }() // what matters of the body was read
	defer func() { _, _ = g.end() }()        // the exchange itself told what it wanted to know
	out := &Response{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode/100 != 2 {
		outcome := outcomeOf(out.Status, x.write)
		if outcome.class != fault.Unknown {
			g.takeBack()
		}
		if out.Status >= http.StatusOK { // below, the body is a connection without end
			out.Body, _ = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // the status says enough
		}
		return out, x.answered(out, outcome)
	}
	if !wantBody {
		_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // lets the connection be used again
		return out, nil
	}
	var problem string
	if out.Body, problem = read(resp.Body, x.client.cfg.MaxResponse); problem != "" {
		return out, x.unusable(out.Status, problem)
	}
	return out, nil
}

// admit refuses what must not be sent, before anything is.
func (x *exchange) admit(ctx context.Context) *fault.Error {
	switch {
	case x.client.closed.Err() != nil:
		return x.fault(fault.CRMUnavailable, fault.Retryable, "the CRM client is closed", nil)
	case x.refusal != nil:
		return x.refused(x.refusal)
	case checkHeader("Authorization", x.call.AuthHeader.Reveal()) != nil:
		return x.fault(fault.CRMUnauthorized, fault.Permanent, "the credentials cannot stand in a header", nil)
	case x.write && x.window == window{}:
		return x.fault(fault.AdapterFault, fault.Permanent, "a call without a send window must not write to the CRM", nil)
	case x.write && !x.window.open(time.Now()):
		return x.fault(fault.CRMUnavailable, fault.Retryable, errWindowClosed.Error(), nil)
	case ctx.Err() != nil:
		return x.fault(fault.CRMUnavailable, fault.Retryable, "the call ended before the request was sent", x.cause(ctx.Err()))
	}
	return nil
}

// follow sends o and, for a read, follows redirects.
func (x *exchange) follow(ctx context.Context, o *outgoing) (*http.Response, *guard, error) {
	for hops := 0; ; hops++ {
		resp, g, err := x.send(ctx, o)
		if err != nil || !isRead(o.method) || !redirects(resp.StatusCode) {
			return resp, g, err
		}
		_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // lets the connection be used again
		_ = resp.Body.Close()
		_, _ = g.end()
		if hops == maxRedirects {
			return nil, g, errManyHops
		}
		if o, err = x.redirected(o, resp.Header.Get("Location")); err != nil {
			return nil, g, err
		}
	}
}

// redirected returns o for where the CRM points to. Beyond the origin that the
// credentials are for, none are sent, nor any other header that may hold some;
// and they stay off when a later redirect points back.
func (x *exchange) redirected(o *outgoing, location string) (*outgoing, error) {
	if location == "" {
		return nil, errNoLocation
	}
	target, err := o.url.Parse(location)
	if err != nil || target.User != nil || target.Hostname() == "" {
		return nil, errNoLocation
	}
	target.Fragment, target.RawFragment = "", ""
	if o.url.Scheme == "https" && target.Scheme != "https" {
		return nil, errPlainHTTP
	}
	if err := x.client.policy.allows(target); err != nil {
		return nil, err
	}
	next := *o
	next.url = target
	if !sameOrigin(o.url, target) {
		next.header = http.Header{"Accept": o.header["Accept"], "User-Agent": o.header["User-Agent"]}
	}
	return &next, nil
}

// send sends o. When a connection from the pool proves dead before a byte was
// written, it takes another: nothing was sent on the first.
func (x *exchange) send(ctx context.Context, o *outgoing) (*http.Response, *guard, error) {
	for stale := 0; ; stale++ {
		g := &guard{write: o.write, window: x.window, state: x.call.State}
		req, err := o.request(ctx, g)
		if err != nil {
			return nil, g, err
		}
		resp, err := x.client.transport.RoundTrip(req)
		if err == nil {
			return resp, g, nil
		}
		begun, refused := g.end()
		if refused != nil {
			return nil, g, refused
		}
		if begun || !g.onReused() || stale == maxStale || ctx.Err() != nil {
			return nil, g, err
		}
	}
}

// read returns the whole body, or in words why it cannot be used.
func read(body io.Reader, most int64) ([]byte, string) {
	out, err := io.ReadAll(io.LimitReader(body, most+1))
	switch {
	case err != nil && errors.Is(err, context.DeadlineExceeded):
		return nil, "a body that did not end in time"
	case err != nil:
		return nil, "a body that is cut short"
	case int64(len(out)) > most:
		return nil, fmt.Sprintf("a body larger than %d bytes", most)
	}
	return out, ""
}
