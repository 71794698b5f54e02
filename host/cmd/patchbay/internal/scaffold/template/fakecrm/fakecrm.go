// Package fakecrm is a small CRM that keeps its notes in memory, for tests of the
// adapter and for trying it out. Make it refuse what the real CRM refuses: a fake
// that takes everything proves nothing.
package fakecrm

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Note is a note as the CRM keeps it.
type Note struct {
	ID         int       `json:"id"`
	ContactID  string    `json:"contactId"`
	Title      string    `json:"title"`
	Body       string    `json:"body"`
	Project    string    `json:"project,omitempty"`
	OccurredAt time.Time `json:"occurredAt"`
	ExternalID string    `json:"externalId"`
}

// CRM is the CRM as an HTTP handler. Its methods may be called concurrently.
type CRM struct {
	token string

	mu    sync.Mutex // guards what follows
	notes []Note
	fail  []int
}

// New returns an empty CRM that takes the bearer token.
func New(token string) *CRM { return &CRM{token: token} }

// Notes returns what the CRM holds, oldest first.
func (c *CRM) Notes() []Note {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Note(nil), c.notes...)
}

// FailNext makes the next requests fail, one for each status. Of 500 and above,
// the note is stored all the same, as a CRM may do that dies before it answers.
func (c *CRM) FailNext(statuses ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = append(c.fail, statuses...)
}

// ServeHTTP answers POST /notes and GET /notes?externalId=...&cursor=..., without
// externalId with all notes.
func (c *CRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := 0
	if len(c.fail) > 0 {
		status, c.fail = c.fail[0], c.fail[1:]
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+c.token:
		refuse(w, http.StatusUnauthorized, "the token is not known")
	case status != 0 && status < http.StatusInternalServerError:
		refuse(w, status, "refused as the test wants it")
	case r.URL.Path != "/notes":
		refuse(w, http.StatusNotFound, "there is nothing at this path")
	case r.Method == http.MethodPost:
		c.create(w, r, status)
	case r.Method == http.MethodGet:
		c.list(w, r.URL.Query().Get("externalId"), r.URL.Query().Get("cursor"))
	default:
		refuse(w, http.StatusMethodNotAllowed, "the method is not known here")
	}
}

// create stores a note, and then fails with the status unless that is 0.
func (c *CRM) create(w http.ResponseWriter, r *http.Request, status int) {
	var in Note
	body := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	body.DisallowUnknownFields()
	switch err := body.Decode(&in); {
	case err != nil:
		refuse(w, http.StatusBadRequest, "the body is no note")
		return
	case in.ContactID == "" || in.Title == "" || in.OccurredAt.IsZero():
		refuse(w, http.StatusUnprocessableEntity, "contactId, title and occurredAt are required")
		return
	}
	in.ID = len(c.notes) + 1
	c.notes = append(c.notes, in)
	if status != 0 {
		refuse(w, status, "failed after the note was stored")
		return
	}
	answer(w, http.StatusCreated, in)
}

// pageSize is small, so that tests turn pages.
const pageSize = 2

// list answers with one page of the notes of a key, of all notes without one.
func (c *CRM) list(w http.ResponseWriter, externalID, cursor string) {
	first, err := strconv.Atoi("0" + cursor)
	if err != nil || first > len(c.notes) {
		refuse(w, http.StatusBadRequest, "the cursor is not known")
		return
	}
	found, next := []Note{}, ""
	for i, n := range c.notes[first:] {
		if externalID != "" && n.ExternalID != externalID {
			continue
		}
		if len(found) == pageSize {
			next = strconv.Itoa(first + i)
			break
		}
		found = append(found, n)
	}
	answer(w, http.StatusOK, map[string]any{"notes": found, "next": next})
}

func refuse(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]string{"error": reason})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}
