package httpapi

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// lastWords is how long a connection may go on reading once the host stops and no
// request is in flight: what is under way by then arrives, and is answered
// shutting_down.
const lastWords = time.Second

// arrivals are the bodies that are being read, so that a slow one does not hold
// up a host that stops. The zero value is ready for use.
type arrivals struct {
	mu     sync.Mutex // guards what follows
	closed bool
	open   map[*request]*http.ResponseController
}

// begin notes that the body is being read, until deadline at the latest. It
// reports whether it may be: not any more once cut was called.
func (s *arrivals) begin(rq *request, deadline time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = make(map[*request]*http.ResponseController)
	}
	// net/http takes the deadline away when the body has been read: from then on it
	// watches the connection for the caller's leaving. A writer without deadlines
	// is not on a network.
	control := http.NewResponseController(rq.w)
	_ = control.SetReadDeadline(deadline)
	s.open[rq] = control
	return true
}

// end ends what begin began, and reports whether the request may go on. One that
// was cut may not, even if its body came in full: net/http may have taken the
// deadline for the end of its caller.
func (s *arrivals) end(rq *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, rq)
	return !s.closed
}

// cut ends the reading of every body at once.
func (s *arrivals) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, control := range s.open {
		_ = control.SetReadDeadline(time.Now())
	}
}

// connections are those that are open. The zero value is ready for use.
type connections struct {
	mu   sync.Mutex // guards what follows
	open map[net.Conn]struct{}
}

// note follows a connection through its states, as http.Server.ConnState.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		if c.open == nil {
			c.open = make(map[net.Conn]struct{})
		}
		c.open[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateActive, http.StateIdle:
	}
}

// readUntil lets no connection read past the deadline. It is for connections
// without a request in flight: those that wait for the rest of a header, or of a
// body that was refused.
func (c *connections) readUntil(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.SetReadDeadline(deadline) // fails only for a closed one
	}
}
