package server

import (
	"bytes"
	"crypto/rand"
	_ "embed" // for page.html
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

//go:embed page.html
var pageText string

// pages are the templates of the web page.
var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"contact": func(a *Activity) string { return contactPath(Contact{ID: a.ContactID, Type: a.ContactType}) },
	"path":    contactPath,
	"when": func(t time.Time) string {
		if t.IsZero() {
			return "–"
		}
		return t.Format("2006-01-02 15:04:05 MST")
	},
	// A CRM shows notes as HTML, so that a badly escaped note can be seen for
	// what it is. The page's Content-Security-Policy lets no note run, load, style
	// or submit anything.
	"html": func(note string) template.HTML { return template.HTML(note) }, //nolint:gosec // see above
}).Parse(pageText))

// view is what every page shows.
type view struct {
	Title                string
	Nonce                string
	Activities, Contacts int
}

func (s *Server) newView(title string) view {
	s.records.mu.RLock()
	defer s.records.mu.RUnlock()
	return view{Title: title, Nonce: rand.Text(), Activities: len(s.records.byID), Contacts: len(s.records.contacts)}
}

func (s *Server) frontPage(w http.ResponseWriter, r *http.Request) {
	before, ok := number(w, r, "before", 0, 0, math.MaxInt)
	if !ok {
		return
	}
	from, ok := number(w, r, "people", 0, 0, math.MaxInt)
	if !ok {
		return
	}
	activities, older := s.records.newest(before, defaultPage)
	people, more := s.records.findContacts("", from, defaultPage)
	v := s.newView("Activities")
	show(w, "front", v.Nonce, struct {
		view
		List              []*Activity
		Older, MorePeople int
		People            []Contact
	}{v, activities, older, max(more, 0), people})
}

func (s *Server) activityPage(w http.ResponseWriter, r *http.Request) {
	a := s.activity(r)
	if a == nil {
		http.Error(w, "There is no such activity.", http.StatusNotFound)
		return
	}
	v := s.newView(a.Subject)
	show(w, "activity", v.Nonce, struct {
		view
		Activity *Activity
	}{v, a})
}

func (s *Server) contactPage(w http.ResponseWriter, r *http.Request) {
	c, ok := s.records.contact(pathContact(r))
	if !ok {
		http.Error(w, "There is no such contact.", http.StatusNotFound)
		return
	}
	after, ok := number(w, r, "cursor", -1, 0, math.MaxInt)
	if !ok {
		return
	}
	list, next := s.records.search(query{contactID: &c.ID, contactType: &c.Type, after: after, limit: defaultPage})
	title := c.Name
	if title == "" {
		title = "Contact " + c.ID
	}
	v := s.newView(title)
	show(w, "contact", v.Nonce, struct {
		view
		Contact Contact
		List    []*Activity
		More    string
	}{v, c, list, morePath(c, next)})
}

// morePath is the address of a contact's next page, empty when there is none.
func morePath(c Contact, next int) string {
	if next < 0 {
		return ""
	}
	params := url.Values{"cursor": {strconv.Itoa(next)}}
	if c.Type != "" {
		params.Set("type", c.Type)
	}
	return "/contacts/" + url.PathEscape(c.ID) + "?" + params.Encode()
}

func show(w http.ResponseWriter, name, nonce string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'nonce-"+nonce+"'")
	_, _ = page.WriteTo(w)
}
