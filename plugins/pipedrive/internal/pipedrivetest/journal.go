package pipedrivetest

import (
	"net/url"
	"slices"
	"sync"
	"time"
)

// Request is what the journal keeps of a request: nothing of its headers or its
// body.
type Request struct {
	At     time.Time `json:"at"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	// Query holds the parameters that the route knows; others could be secrets.
	Query string `json:"query,omitempty"`
	// Status is the status of the answer; 0 when the connection was broken off.
	Status int `json:"status"`
	// Fault is what a switched fault did.
	Fault Action `json:"fault,omitempty"`
}

// journal keeps the latest requests to the API. Its methods may be called
// concurrently.
type journal struct {
	most int

	mu      sync.Mutex // guards what follows
	entries []Request  // a ring, once it is full
	next    int        // where the next entry goes in the ring
	dropped int64
}

func (j *journal) add(r Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) < j.most {
		j.entries = append(j.entries, r)
		return
	}
	j.entries[j.next] = r
	j.next = (j.next + 1) % j.most
	j.dropped++
}

// list returns the entries, oldest first, and how many older ones are gone.
func (j *journal) list() ([]Request, int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append(slices.Clone(j.entries[j.next:]), j.entries[:j.next]...), j.dropped
}

// known returns the parameters of a query that lists know, in their order.
func known(query url.Values) string {
	out := url.Values{}
	for name, values := range query {
		if slices.Contains(listParams, name) {
			out[name] = values
		}
	}
	return out.Encode()
}
