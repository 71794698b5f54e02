// Package crm is cardfile, a small CRM that keeps cards in memory. It never
// deduplicates: who sends a card twice has two cards.
//
//	POST /api/cards               form: contact, title, body, ref, when; 201 with Location, no body
//	PUT  /api/cards/<id>/folder   JSON {"folder":"..."}; 204, or 404 when there is no such folder
//	GET  /api/cards?ref=&page=    JSON {"cards":[{"id":..,"ref":..}],"more":false}; ref anywhere in the text
//
// A refusal is a status and a line of text/plain. Requests carry HTTP Basic
// credentials: the key as the user, and no password.
package crm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// The rules for cards.
const (
	MaxTitle = 200   // characters, on one line
	MaxBody  = 8_000 // characters
	MaxRef   = 100   // bytes
	// WhenLayout is how a time is written: UTC, and whole seconds.
	WhenLayout = "2006-01-02T15:04:05Z"
)

// PageSize is the number of cards on a page of a search.
const PageSize = 2

// Card is a card as the CRM keeps it.
type Card struct {
	ID      int
	Contact string
	Title   string
	Body    string
	Ref     string
	When    time.Time
	Folder  string
}

// Fault makes one request go wrong. The zero Fault lets it pass.
type Fault struct {
	// Method is the method of the requests concerned; empty for all.
	Method string
	// Status is answered; 0 answers as usual.
	Status int
	// Header is set beside it, and may overrule what is usual: an empty value
	// takes a header away.
	Header map[string]string
	// Body is answered instead of the usual body. With Status 0 the status is 200.
	Body string
	// Stored is whether the request is carried out before it goes wrong.
	Stored bool
	// Delay is how long the answer takes, after the request was carried out.
	Delay time.Duration
	// Reset closes the connection without an answer.
	Reset bool
}

// CRM is cardfile as an HTTP handler. Its methods may be called concurrently.
type CRM struct {
	key      string
	contacts []string
	folders  []string

	mu     sync.Mutex // guards what follows
	cards  []Card
	writes int
	faults []Fault
}

// New returns a CRM without cards that takes this key, and has these contacts and
// folders.
func New(key string, contacts, folders []string) *CRM {
	return &CRM{key: key, contacts: contacts, folders: folders}
}

// Cards returns all cards, oldest first.
func (c *CRM) Cards() []Card {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.cards)
}

// Writes returns how many requests that could have changed something came with
// valid credentials.
func (c *CRM) Writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// Fail makes the next requests go wrong, one for each fault, in order. A request
// that the first fault does not concern leaves it where it is.
func (c *CRM) Fail(faults ...Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, faults...)
}

// nextFault takes the fault that concerns a request.
func (c *CRM) nextFault(method string) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == 0 || cmp.Or(c.faults[0].Method, method) != method {
		return Fault{}
	}
	f := c.faults[0]
	c.faults = c.faults[1:]
	return f
}

// answer is what a request is answered with.
type answer struct {
	status   int
	location string
	text     string // a refusal's reason
	json     any
}

// ServeHTTP answers as the package comment says.
func (c *CRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, ok := r.BasicAuth(); !ok || user != c.key || password != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="cardfile"`)
		http.Error(w, "unknown key", http.StatusUnauthorized)
		return
	}
	f := c.nextFault(r.Method)
	if r.Method != http.MethodGet {
		c.mu.Lock()
		c.writes++
		c.mu.Unlock()
	}
	a := answer{status: http.StatusOK}
	if (f.Status == 0 && f.Body == "" && !f.Reset) || f.Stored {
		a = c.answer(r)
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		}
	}
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	send(w, a, f)
}

// send writes an answer as the fault wants it.
func send(w http.ResponseWriter, a answer, f Fault) {
	body := []byte(f.Body)
	switch {
	case f.Body != "" || f.Status != 0:
	case a.text != "":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		body = []byte(a.text + "\n")
	case a.json != nil:
		w.Header().Set("Content-Type", "application/json")
		body, _ = json.Marshal(a.json) // strings and numbers
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	for name, value := range f.Header {
		w.Header().Del(name)
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(cmp.Or(f.Status, a.status))
	_, _ = w.Write(body) // the client may have gone
}

// answer carries a request out.
func (c *CRM) answer(r *http.Request) answer {
	id, filing := strings.CutPrefix(r.URL.Path, "/api/cards/")
	id, folder := strings.CutSuffix(id, "/folder")
	switch {
	case r.URL.Path == "/api/cards" && r.Method == http.MethodPost:
		return c.create(r)
	case r.URL.Path == "/api/cards" && r.Method == http.MethodGet:
		return c.search(r)
	case filing && folder && r.Method == http.MethodPut:
		return c.file(r, id)
	case r.URL.Path == "/api/cards" || filing && folder:
		return answer{status: http.StatusMethodNotAllowed, text: "no such method"}
	}
	return answer{status: http.StatusNotFound, text: "nothing is here"}
}

// create makes a card of a form.
func (c *CRM) create(r *http.Request) answer {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return answer{status: http.StatusUnsupportedMediaType, text: "a card comes as a form"}
	}
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return answer{status: http.StatusBadRequest, text: "the form cannot be read"}
	}
	card, err := parseCard(r)
	if err != nil {
		return answer{status: http.StatusBadRequest, text: err.Error()}
	}
	if !slices.Contains(c.contacts, card.Contact) {
		return answer{status: http.StatusConflict, text: "no such contact"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	card.ID = 1001 + len(c.cards)
	c.cards = append(c.cards, card)
	return answer{status: http.StatusCreated, location: fmt.Sprintf("/api/cards/%d", card.ID)}
}

// parseCard reads the form of a card, or says what is wrong with it.
func parseCard(r *http.Request) (Card, error) {
	for name, values := range r.PostForm {
		switch {
		case !slices.Contains([]string{"contact", "title", "body", "ref", "when"}, name):
			return Card{}, errors.New("unknown field")
		case len(values) != 1:
			return Card{}, fmt.Errorf("%s: one value, please", name)
		case !utf8.ValidString(values[0]):
			return Card{}, fmt.Errorf("%s: not UTF-8", name)
		}
	}
	card := Card{
		Contact: r.PostForm.Get("contact"),
		Title:   r.PostForm.Get("title"),
		Body:    r.PostForm.Get("body"),
		Ref:     r.PostForm.Get("ref"),
	}
	when, err := time.Parse(WhenLayout, r.PostForm.Get("when"))
	card.When = when
	switch {
	case err != nil:
		return Card{}, errors.New("when: want " + WhenLayout)
	case card.Contact == "":
		return Card{}, errors.New("contact: missing")
	case strings.TrimSpace(card.Title) == "":
		return Card{}, errors.New("title: missing")
	case utf8.RuneCountInString(card.Title) > MaxTitle:
		return Card{}, fmt.Errorf("title: longer than %d characters", MaxTitle)
	case strings.ContainsFunc(card.Title, unicode.IsControl):
		return Card{}, errors.New("title: more than one line")
	case utf8.RuneCountInString(card.Body) > MaxBody:
		return Card{}, fmt.Errorf("body: longer than %d characters", MaxBody)
	case len(card.Ref) > MaxRef:
		return Card{}, fmt.Errorf("ref: longer than %d bytes", MaxRef)
	}
	return card, nil
}

// file puts a card into a folder.
func (c *CRM) file(r *http.Request, id string) answer {
	var in struct {
		Folder string `json:"folder"`
	}
	body := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
	body.DisallowUnknownFields()
	if err := body.Decode(&in); err != nil {
		return answer{status: http.StatusBadRequest, text: "the body is no folder"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.cards, func(card Card) bool { return strconv.Itoa(card.ID) == id })
	switch {
	case i < 0:
		return answer{status: http.StatusNotFound, text: "no such card"}
	case !slices.Contains(c.folders, in.Folder):
		return answer{status: http.StatusNotFound, text: "no such folder"}
	}
	c.cards[i].Folder = in.Folder
	return answer{status: http.StatusNoContent}
}

// found is a card as a search shows it.
type found struct {
	ID  int    `json:"id"`
	Ref string `json:"ref"`
}

// search answers with one page of the cards whose ref contains a text, oldest
// first.
func (c *CRM) search(r *http.Request) answer {
	page, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("page"), "1"))
	if err != nil || page < 1 {
		return answer{status: http.StatusBadRequest, text: "page: want a number from 1"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cards := []found{}
	for _, card := range c.cards {
		if strings.Contains(strings.ToLower(card.Ref), strings.ToLower(r.URL.Query().Get("ref"))) {
			cards = append(cards, found{card.ID, card.Ref})
		}
	}
	first, last := min((page-1)*PageSize, len(cards)), min(page*PageSize, len(cards))
	return answer{status: http.StatusOK, json: map[string]any{"cards": cards[first:last], "more": last < len(cards)}}
}
