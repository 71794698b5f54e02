package crmhttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

const (
	// idleTimeout is how long an unused connection is kept. It is shorter than
	// the 5 s after which common servers (Node.js, Apache) close theirs: a write
	// on a connection that the server is closing has an unknown outcome.
	idleTimeout = 4 * time.Second
	// maxIdle bounds the unused connections to all hosts.
	maxIdle = 256
	// maxHeaderBytes bounds the headers of a response.
	maxHeaderBytes = 256 << 10
)

// Call is what a Session speaks for: *sdk.AddMessageLogRequest and
// *sdk.FindMessageLogRequest.
type Call interface{ CRMCall() sdk.CRMCall }

// Client talks to a CRM. One serves all calls of an adapter process and pools
// their connections; its methods may be called concurrently.
type Client struct {
	cfg       Config
	policy    *policy
	transport *http.Transport
	dialer    *dialer
	closed    context.Context
	close     context.CancelFunc
}

// New returns a client. It opens no connection. The error names every faulty
// field of cfg.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	policy, err := newPolicy(cfg)
	if err = errors.Join(cfg.validate(), err); err != nil {
		return nil, fmt.Errorf("configure the CRM client: %w", err)
	}
	c := &Client{cfg: cfg, policy: policy}
	c.closed, c.close = context.WithCancel(context.Background())
	c.dialer = &dialer{
		policy: policy, timeout: cfg.DialTimeout, closed: c.closed,
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs, NextProtos: []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	c.transport = &http.Transport{
		DialContext: c.dialer.dialPlain, DialTLSContext: c.dialer.dialTLS, Protocols: &http1,
		MaxConnsPerHost: cfg.MaxConns, MaxIdleConnsPerHost: cfg.MaxConns, MaxIdleConns: maxIdle,
		IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return c, nil
}

// For returns a session that speaks for call, and marks the call as watched:
// from now on the host believes that a call which wrote nothing through this
// client wrote nothing at all. So an adapter that uses this client must send all
// its CRM requests through it.
func (c *Client) For(call Call) *Session {
	crm := call.CRMCall()
	crm.State.Watch()
	return c.session(crm)
}

// Anonymous returns a session that speaks for no call: it sends no credentials,
// refuses every write and needs a BaseURL. It is for health checks.
func (c *Client) Anonymous() *Session { return c.session(sdk.CRMCall{}) }

func (c *Client) session(call sdk.CRMCall) *Session {
	if call.State == nil {
		// A request that did not come through the SDK's server, as in a unit test.
		call.State = new(callstate.State)
	}
	s := &Session{client: c, call: call}
	if !call.NotAfter.IsZero() {
		s.window = newWindow(call)
	}
	s.origin, s.refusal = c.policy.origin(call.Hostname)
	return s
}

// Close closes idle connections and gives up dials that are under way. Requests
// under way end in their own time; new ones are refused.
func (c *Client) Close() {
	c.close()
	c.transport.CloseIdleConnections()
}
