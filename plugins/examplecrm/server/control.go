package server

import (
	"math"
	"net/http"
)

// The sizes of a page of the judge's list.
const (
	defaultAll = 1000
	maxAll     = 10_000
)

// Counts is what the judge counts.
type Counts struct {
	// Activities and Contacts are the records there are.
	Activities int `json:"activities"`
	Contacts   int `json:"contacts"`
	// Messages is how many distinct messages are logged, a message being named by
	// contact type, contact id and message id.
	Messages int `json:"messages"`
	// DoubledKeys is how many external ids stand in more than one activity.
	DoubledKeys int `json:"doubledKeys"`
	// DoubledMessages is how many messages stand in more than one activity, or
	// twice in one.
	DoubledMessages int `json:"doubledMessages"`
	// Creates and Searches are the requests that came with valid credentials
	// since the start; Unauthorized those without.
	Creates      int64 `json:"creates"`
	Searches     int64 `json:"searches"`
	Unauthorized int64 `json:"unauthorized"`
	// Faults is how many requests a switched fault has struck.
	Faults int64 `json:"faults"`
	// Abandoned is how many creates were given up because their client had gone,
	// or failed after their client had been answered.
	Abandoned int64 `json:"abandoned"`
}

// Counts counts the records and what happened since the start. It reads every
// record.
func (s *Server) Counts() Counts {
	c := s.records.counts()
	c.Creates, c.Searches = s.tally.creates.Load(), s.tally.searches.Load()
	c.Unauthorized = s.tally.unauthorized.Load()
	c.Faults, c.Abandoned = s.tally.faults.Load(), s.tally.abandoned.Load()
	return c
}

func (r *records) counts() Counts {
	r.mu.RLock()
	defer r.mu.RUnlock()
	type message struct {
		contactKey
		id string
	}
	messages := make(map[message]int)
	for _, a := range r.all {
		if a == nil {
			continue
		}
		for _, id := range a.MessageIDs {
			messages[message{a.key(), id}]++
		}
	}
	c := Counts{Activities: len(r.byID), Contacts: len(r.contacts), Messages: len(messages)}
	for _, times := range messages {
		if times > 1 {
			c.DoubledMessages++
		}
	}
	for _, at := range r.byKey {
		if len(at) > 1 {
			c.DoubledKeys++
		}
	}
	return c
}

func (s *Server) showCounts(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, s.Counts())
}

func (s *Server) listAll(w http.ResponseWriter, r *http.Request) {
	limit, ok := number(w, r, "limit", defaultAll, 1, maxAll)
	if !ok {
		return
	}
	after, ok := number(w, r, "cursor", -1, 0, math.MaxInt)
	if !ok {
		return
	}
	page, next := s.records.search(query{after: after, limit: limit})
	respond(w, http.StatusOK, pageOf(page, next))
}

func (s *Server) showSwitches(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, s.Switches())
}

func (s *Server) replaceSwitches(w http.ResponseWriter, r *http.Request) {
	var to Switches
	if !read(w, r, &to) {
		return
	}
	if err := s.SetSwitches(to); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "invalid", err.Error())
		return
	}
	respond(w, http.StatusOK, s.Switches())
}
