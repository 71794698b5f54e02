package server

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The sizes of a page of search results.
const (
	defaultPage = 50
	maxPage     = 200
)

// created is the answer to a create.
type created struct {
	ID        int64     `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
}

// list is one page of search results.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor"` // empty on the last page
}

// createActivity stores an activity, unless a switch says otherwise:
//
//	fault before ─ late ─ applyDelay ─ store ─ answerDelay ─ fault after ─ answer
func (s *Server) createActivity(w http.ResponseWriter, r *http.Request) {
	s.tally.creates.Add(1)
	var d Draft
	if !read(w, r, &d) {
		return
	}
	if err := d.validate(); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "invalid", err.Error())
		return
	}
	switches, fault := s.switches.strike(Create)
	if fault != nil {
		s.tally.faults.Add(1)
	}
	switch {
	case fault != nil && fault.Do == Late:
		s.createLate(w, d, *fault)
		return
	case fault != nil && !fault.after():
		fault.answer(w)
		return
	}
	ctx := r.Context()
	if !switches.DropAbandoned {
		ctx = context.WithoutCancel(ctx)
	}
	if !s.pause(ctx, switches.ApplyDelay) {
		s.tally.abandoned.Add(1)
		return // nobody is there to be answered
	}
	a, err := s.records.create(d)
	if err != nil {
		refuseError(w, err)
		return
	}
	s.pause(r.Context(), switches.AnswerDelay)
	if fault != nil {
		fault.answer(w)
		return
	}
	w.Header().Set("Location", "/activities/"+strconv.FormatInt(a.ID, 10))
	respond(w, http.StatusCreated, created{a.ID, a.CreatedAt})
}

// createLate answers at once and stores later, in a goroutine that Close waits
// for.
func (s *Server) createLate(w http.ResponseWriter, d Draft, f Fault) {
	if !s.acquire() {
		refuse(w, http.StatusServiceUnavailable, "busy", "too many requests at once")
		return
	}
	s.late.Go(func() {
		defer s.release()
		s.pause(context.Background(), f.Delay)
		if _, err := s.records.create(d); err != nil {
			s.tally.abandoned.Add(1) // nobody is there to be told
		}
	})
	f.answer(w)
}

func (s *Server) searchActivities(w http.ResponseWriter, r *http.Request) {
	s.tally.searches.Add(1)
	limit, ok := number(w, r, "limit", defaultPage, 1, maxPage)
	if !ok {
		return
	}
	after, ok := number(w, r, "cursor", -1, 0, math.MaxInt)
	if !ok {
		return
	}
	switches, fault := s.switches.strike(Search)
	if !s.pause(r.Context(), switches.SearchDelay) {
		return
	}
	if fault != nil {
		s.tally.faults.Add(1)
		fault.answer(w)
		return
	}
	params := r.URL.Query()
	page, next := s.records.search(query{
		externalID: params.Get("externalId"), contactID: given(params, "contactId"), contactType: given(params, "contactType"),
		lag: switches.SearchLag, after: after, limit: limit,
	})
	respond(w, http.StatusOK, pageOf(page, next))
}

// given returns a query parameter, nil when it was not given.
func given(params url.Values, name string) *string {
	if !params.Has(name) {
		return nil
	}
	value := params.Get(name)
	return &value
}

func pageOf[T any](items []T, next int) list[T] {
	if items == nil {
		items = []T{}
	}
	if next < 0 {
		return list[T]{Items: items}
	}
	return list[T]{Items: items, NextCursor: strconv.Itoa(next)}
}

func (s *Server) readActivity(w http.ResponseWriter, r *http.Request) {
	a := s.activity(r)
	if a == nil {
		refuse(w, http.StatusNotFound, "not_found", "there is no such activity")
		return
	}
	respond(w, http.StatusOK, a)
}

// activity returns the activity that the path names, nil when there is none.
func (s *Server) activity(r *http.Request) *Activity {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil
	}
	return s.records.get(id)
}

func (s *Server) deleteActivity(w http.ResponseWriter, r *http.Request) {
	a := s.activity(r)
	if a == nil {
		refuse(w, http.StatusNotFound, "not_found", "there is no such activity")
		return
	}
	removed, err := s.records.remove(a.ID)
	switch {
	case err != nil:
		refuseError(w, err)
	case !removed:
		refuse(w, http.StatusNotFound, "not_found", "there is no such activity")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
