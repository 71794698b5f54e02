package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
)

// writeTimeout is how long an answer may take: two switched delays, and itself.
const writeTimeout = 3 * maxDelay

// Server is the CRM. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	tokens   tokens
	records  *records
	switches *switchboard
	handler  http.Handler
	tally    tally

	slots   chan struct{}  // one per request being worked on
	late    sync.WaitGroup // creates that are stored after their answer
	closing chan struct{}  // closed by Close: nothing waits any more
	once    sync.Once
	closed  error // set by once
}

// tally counts what happened since the start.
type tally struct{ creates, searches, unauthorized, faults, abandoned atomic.Int64 }

// New returns a CRM with the records of its database, if it has one. The caller
// must Close it.
func New(c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure CRM: %w", err)
	}
	r, err := newRecords(c)
	if err != nil {
		return nil, fmt.Errorf("open CRM: %w", err)
	}
	s := &Server{
		cfg: c, tokens: newTokens(c.Tokens), records: r, switches: newSwitchboard(c.Switches, c.Seed),
		slots: make(chan struct{}, c.MaxConcurrent), closing: make(chan struct{}),
	}
	s.handler = http.NewCrossOriginProtection().Handler(s.bounded(s.routes()))
	return s, nil
}

// Handler returns the CRM's HTTP face, for httptest.NewServer.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves on the listener until ctx ends, lets running requests finish for a
// few seconds, and returns nil. It closes the listener, but not the Server.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	return standin.Serve(ctx, ln, s.handler, writeTimeout, nil)
}

// Close stores at once what was still to be stored late, and closes the database.
// No request may be running on Handler any more.
func (s *Server) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.late.Wait()
		s.closed = s.records.journal.close()
	})
	return s.closed
}

// SetSwitches replaces all switches.
func (s *Server) SetSwitches(to Switches) error {
	if err := to.validate(); err != nil {
		return err
	}
	s.switches.set(to)
	return nil
}

// Switches returns the switches as they stand: spent faults are gone.
func (s *Server) Switches() Switches { return s.switches.get() }

// Activities returns every activity, oldest first, whatever the switches say.
func (s *Server) Activities() []Activity {
	page, _ := s.records.search(query{after: -1, limit: int(^uint(0) >> 1)})
	out := make([]Activity, len(page))
	for i, a := range page {
		out[i] = *a
	}
	return out
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /activities", s.authorized(s.createActivity))
	mux.HandleFunc("GET /activities", s.authorized(s.searchActivities))
	mux.HandleFunc("GET /activities/{id}", pageOr(s.activityPage, s.authorized(s.readActivity)))
	mux.HandleFunc("DELETE /activities/{id}", s.authorized(s.deleteActivity))
	mux.HandleFunc("POST /contacts", s.authorized(s.createContact))
	mux.HandleFunc("GET /contacts", s.authorized(s.searchContacts))
	mux.HandleFunc("GET /contacts/{id}", pageOr(s.contactPage, s.authorized(s.readContact)))
	mux.HandleFunc("PUT /contacts/{id}", s.authorized(s.putContact))
	mux.HandleFunc("GET /{$}", s.frontPage)
	mux.HandleFunc("GET /_control/activities", s.listAll)
	mux.HandleFunc("GET /_control/counts", s.showCounts)
	mux.HandleFunc("GET /_control/switches", s.showSwitches)
	mux.HandleFunc("PUT /_control/switches", s.replaceSwitches)
	mux.HandleFunc("GET /_control/health", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", "there is no such route, or not with this method")
	})
	return mux
}

// bounded refuses requests beyond the limit of concurrent ones, and bodies
// beyond the limit of size.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.acquire() {
			refuse(w, http.StatusServiceUnavailable, "busy", "too many requests at once")
			return
		}
		defer s.release()
		r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) acquire() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Server) release() { <-s.slots }

func (s *Server) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.tokens.accepts(r.Header.Get("Authorization")) {
			s.tally.unauthorized.Add(1)
			w.Header().Set("WWW-Authenticate", `Bearer realm="examplecrm"`)
			refuse(w, http.StatusUnauthorized, "unauthorized", "the credentials are missing or not valid")
			return
		}
		next(w, r)
	}
}

// pageOr answers browsers with a page and programs with data.
func pageOr(page, data http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			page(w, r)
			return
		}
		data(w, r)
	}
}

// pause waits. It reports false when ctx ended first. A closing server does not
// wait any more.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return true
	case <-ctx.Done():
		return false
	}
}

// reset ends the connection with a TCP reset where there is a connection of its
// own, and breaks the answer off everywhere else.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way to break an answer off
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetLinger(0) // discard and reset instead of an orderly end
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return // the connection is gone already, which is what was wanted
	}
}
