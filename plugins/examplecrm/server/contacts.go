package server

import (
	"math"
	"net/http"
	"net/url"
)

func (s *Server) createContact(w http.ResponseWriter, r *http.Request) {
	var c Contact
	if !read(w, r, &c) {
		return
	}
	if c.ID != "" {
		refuse(w, http.StatusUnprocessableEntity, "invalid", "the CRM chooses the id; use PUT to choose it")
		return
	}
	s.storeContact(w, c, http.StatusCreated)
}

func (s *Server) putContact(w http.ResponseWriter, r *http.Request) {
	var c Contact
	if !read(w, r, &c) {
		return
	}
	key := pathContact(r)
	if (c.ID != "" && c.ID != key.id) || (c.Type != "" && c.Type != key.kind) {
		refuse(w, http.StatusUnprocessableEntity, "invalid", "id and type of the body differ from those of the address")
		return
	}
	c.ID, c.Type = key.id, key.kind
	s.storeContact(w, c, http.StatusOK)
}

func (s *Server) storeContact(w http.ResponseWriter, c Contact, status int) {
	checked := c
	if checked.ID == "" {
		checked.ID = "chosen later"
	}
	if err := checked.validate(); err != nil {
		refuse(w, http.StatusUnprocessableEntity, "invalid", err.Error())
		return
	}
	c, err := s.records.put(c)
	if err != nil {
		refuseError(w, err)
		return
	}
	w.Header().Set("Location", contactPath(c))
	respond(w, status, c)
}

func (s *Server) readContact(w http.ResponseWriter, r *http.Request) {
	c, ok := s.records.contact(pathContact(r))
	if !ok {
		refuse(w, http.StatusNotFound, "not_found", "there is no such contact")
		return
	}
	respond(w, http.StatusOK, c)
}

func (s *Server) searchContacts(w http.ResponseWriter, r *http.Request) {
	limit, ok := number(w, r, "limit", defaultPage, 1, maxPage)
	if !ok {
		return
	}
	from, ok := number(w, r, "cursor", 0, 0, math.MaxInt)
	if !ok {
		return
	}
	page, next := s.records.findContacts(r.URL.Query().Get("phoneNumber"), from, limit)
	respond(w, http.StatusOK, pageOf(page, next))
}

// pathContact returns which contact an address names.
func pathContact(r *http.Request) contactKey {
	return contactKey{kind: r.URL.Query().Get("type"), id: r.PathValue("id")}
}

// contactPath is the reverse of pathContact.
func contactPath(c Contact) string {
	path := "/contacts/" + url.PathEscape(c.ID)
	if c.Type != "" {
		path += "?" + url.Values{"type": {c.Type}}.Encode()
	}
	return path
}
