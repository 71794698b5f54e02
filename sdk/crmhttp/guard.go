package crmhttp

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

// The reasons for which a connection refuses to carry bytes.
var (
	errWindowClosed = errors.New("the send window has closed")
	errEnded        = errors.New("the request has ended")
	errSecondSend   = errors.New("the request was sent before")
	errUnsolicited  = errors.New("the CRM sent data that nobody asked for")
)

// window is the time in which a call may write to its CRM.
type window struct {
	closes time.Time // by the wall clock alone
	limit  time.Time // the same moment by the monotonic clock
}

func newWindow(call sdk.CRMCall) window {
	return window{closes: call.NotAfter.Round(0), limit: call.State.Limit(call.NotAfter)}
}

// open reports whether now is inside the window by both clocks. The monotonic
// clock stands still while the machine sleeps, and the wall clock can be set
// back; either alone would let a write out too late.
func (w window) open(now time.Time) bool {
	return now.Round(0).Before(w.closes) && now.Before(w.limit)
}

// guard stands between one request and the connections that carry it: it lets
// bytes pass or not, and knows whether any did.
type guard struct {
	write  bool // the request may change the CRM
	window window
	state  *callstate.State

	mu      sync.Mutex
	carrier *conn // the connection that a write began on
	begun   bool  // a byte was handed to the socket
	reused  bool  // the latest connection had served a request before
	written int64
	ended   bool  // nothing more is sent
	over    bool  // nothing more is read either
	refused error // why bytes were held back
}

// pass reports whether bytes may be handed to c's socket now, and until when. It
// is the last check before they are.
func (g *guard) pass(c *conn) (until time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
		return time.Time{}, errEnded
	case !g.write:
		g.begun = true
		return time.Time{}, nil
	case g.carrier != nil && g.carrier != c:
		g.refused = errSecondSend
	case !g.window.open(time.Now()):
		g.refused = errWindowClosed
	}
	if g.refused != nil {
		return time.Time{}, g.refused
	}
	if !g.begun {
		g.begun, g.carrier = true, c
		g.state.Sent()
	}
	return g.window.limit, nil
}

// passed notes how many of the bytes went out. When the very first piece failed
// as a whole, nothing was sent after all: a TLS record that is not complete
// cannot be read by the other side either.
func (g *guard) passed(n int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.written += int64(n)
	if err == nil || g.written > 0 || g.ended || !g.begun {
		return
	}
	g.begun, g.carrier = false, nil
	if g.write {
		g.state.NotActed()
	}
}

// end lets nothing pass any more, in neither direction. It returns whether anything
// did, and why bytes were held back if they were.
func (g *guard) end() (begun bool, refused error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended, g.over = true, true
	return g.begun, g.refused
}

// takeBack lets nothing more be sent and notes that the CRM has not acted on the
// request. Its answer may still be read.
func (g *guard) takeBack() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	if g.write && g.begun {
		g.begun = false
		g.state.NotActed()
	}
}

// idle reports whether the guard's request has ended.
func (g *guard) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.over
}

// carry hands c over to the request: from now on its bytes are this request's.
func (g *guard) carry(c net.Conn, reused bool) {
	if own, ok := c.(*conn); ok {
		g.mu.Lock()
		g.reused = reused
		g.mu.Unlock()
		own.guard.Store(g)
	}
}

func (g *guard) onReused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reused
}

// conn is a connection to a CRM that carries bytes only for the request that
// holds it. For https it lies above TLS, so the handshake is not a request's.
type conn struct {
	net.Conn
	guard atomic.Pointer[guard]
}

// Write hands p to the socket when the guard lets it pass.
func (c *conn) Write(p []byte) (int, error) {
	g := c.guard.Load()
	if g == nil {
		return 0, errEnded
	}
	until, err := g.pass(c)
	if err != nil {
		return 0, err
	}
	// A write that blocks must not end after the window; reads have none.
	if err := c.SetWriteDeadline(until); err != nil {
		g.passed(0, err)
		return 0, err
	}
	n, err := c.Conn.Write(p)
	g.passed(n, err)
	return n, err
}

// Read returns what the CRM sends while a request is under way. Anything else
// ends the connection: net/http would print it to the standard log.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if g := c.guard.Load(); n > 0 && (g == nil || g.idle()) {
		return 0, errUnsolicited
	}
	return n, err
}
