package server

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The refusals of the records.
var (
	errFull           = errors.New("the CRM is full")
	errUnknownContact = errors.New("there is no such contact")
)

// records holds every contact and activity: in memory, where all questions are
// answered, and in the journal. Its methods may be called concurrently.
type records struct {
	journal         *journal // nil: memory only
	maxBytes        int64
	requireContacts bool

	mu       sync.RWMutex // guards what follows
	lastID   int64
	bytes    int64
	all      []*Activity // in the order of becoming visible; nil where deleted
	byID     map[int64]int
	byKey    map[string][]int
	byPerson map[contactKey][]int
	contacts map[contactKey]Contact
	people   []contactKey // contacts in the order of their creation
}

func newRecords(c Config) (*records, error) {
	r := &records{
		maxBytes: c.MaxBytes, requireContacts: c.RequireContacts,
		byID: make(map[int64]int), byKey: make(map[string][]int), byPerson: make(map[contactKey][]int),
		contacts: make(map[contactKey]Contact),
	}
	if c.Database == "" {
		return r, nil
	}
	j, err := openJournal(c.Database)
	if err != nil {
		return nil, err
	}
	r.journal = j
	r.lastID, err = j.load(r.addContact, func(a *Activity) {
		r.bytes += a.size()
		r.add(a)
	})
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return r, nil
}

// create stores an activity and returns it once it is committed.
func (r *records) create(d Draft) (*Activity, error) {
	a, newcomer, err := r.reserve(d)
	if err != nil {
		return nil, err
	}
	if err := r.writeActivity(a, newcomer); err != nil {
		r.mu.Lock()
		r.bytes -= a.size()
		r.mu.Unlock()
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.contacts[a.key()]; !known {
		r.addContact(Contact{ID: a.ContactID, Type: a.ContactType})
	}
	a.visible = time.Now()
	r.add(a)
	return a, nil
}

// reserve takes an id and room for an activity, and reports whether its contact
// is new.
func (r *records) reserve(d Draft) (a *Activity, newcomer bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.contacts[d.key()]
	switch {
	case !known && r.requireContacts:
		return nil, false, errUnknownContact
	case r.bytes+d.size() > r.maxBytes:
		return nil, false, errFull
	}
	r.bytes += d.size()
	r.lastID++
	return &Activity{ID: r.lastID, Draft: d, CreatedAt: time.Now().UTC()}, !known, nil
}

func (r *records) writeActivity(a *Activity, newcomer bool) error {
	if r.journal == nil {
		return nil
	}
	store, err := storeActivity(a)
	if err != nil {
		return err
	}
	if newcomer {
		return r.journal.write(change{knowContact, []any{a.ContactType, a.ContactID}}, store)
	}
	return r.journal.write(store)
}

// add makes an activity visible. The caller holds mu, or has r for itself.
func (r *records) add(a *Activity) {
	at := len(r.all)
	r.all = append(r.all, a)
	r.byID[a.ID] = at
	r.byPerson[a.key()] = append(r.byPerson[a.key()], at)
	if a.ExternalID != "" {
		r.byKey[a.ExternalID] = append(r.byKey[a.ExternalID], at)
	}
}

// addContact keeps a contact. The caller holds mu, or has r for itself.
func (r *records) addContact(c Contact) {
	if _, known := r.contacts[c.key()]; !known {
		r.people = append(r.people, c.key())
	}
	r.contacts[c.key()] = c
}

// remove deletes an activity and reports whether there was one.
func (r *records) remove(id int64) (bool, error) {
	if r.get(id) == nil {
		return false, nil
	}
	if err := r.journal.write(change{deleteActivity, []any{id}}); err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.byID[id]
	if !ok {
		return false, nil // another request was faster
	}
	a := r.all[at]
	r.all[at] = nil
	r.bytes -= a.size()
	delete(r.byID, id)
	drop(r.byKey, a.ExternalID, at)
	drop(r.byPerson, a.key(), at)
	return true, nil
}

// drop takes a position out of an index.
func drop[K comparable](index map[K][]int, key K, at int) {
	left := slices.DeleteFunc(index[key], func(n int) bool { return n == at })
	if len(left) == 0 {
		delete(index, key)
		return
	}
	index[key] = left
}

func (r *records) get(id int64) *Activity {
	r.mu.RLock()
	defer r.mu.RUnlock()
	at, ok := r.byID[id]
	if !ok {
		return nil
	}
	return r.all[at]
}

// query says which activities are wanted. Empty members do not restrict.
type query struct {
	externalID  string
	contactID   *string
	contactType *string
	lag         time.Duration // activities younger than that are not seen
	after       int           // position after which to begin; -1 for the first page
	limit       int
}

func (q query) wants(a *Activity, now time.Time) bool {
	return a != nil &&
		(q.externalID == "" || a.ExternalID == q.externalID) &&
		(q.contactID == nil || a.ContactID == *q.contactID) &&
		(q.contactType == nil || a.ContactType == *q.contactType) &&
		(q.lag == 0 || now.Sub(a.visible) >= q.lag)
}

// search returns one page, oldest first, and the position after which the next
// page begins; -1 when this was the last.
func (r *records) search(q query) (page []*Activity, next int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := time.Now()
	last := -1
	for at := range r.candidates(q) {
		if !q.wants(r.all[at], now) {
			continue
		}
		if len(page) == q.limit {
			return page, last
		}
		page, last = append(page, r.all[at]), at
	}
	return page, -1
}

// candidates yields the positions that can match, in ascending order. The caller
// holds mu.
func (r *records) candidates(q query) func(yield func(int) bool) {
	var list []int
	switch {
	case q.externalID != "":
		list = r.byKey[q.externalID]
	case q.contactID != nil && q.contactType != nil:
		list = r.byPerson[contactKey{*q.contactType, *q.contactID}]
	default:
		return func(yield func(int) bool) {
			for at := q.after + 1; at < len(r.all) && yield(at); at++ {
			}
		}
	}
	begin, _ := slices.BinarySearch(list, q.after+1)
	return slices.Values(list[begin:])
}

// newest returns up to limit activities, newest first, beginning before the
// position; 0 for the first page. before is the position for the next page, 0
// when this was the last.
func (r *records) newest(before, limit int) (page []*Activity, next int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if before <= 0 || before > len(r.all) {
		before = len(r.all)
	}
	for at := before - 1; at >= 0; at-- {
		if r.all[at] == nil {
			continue
		}
		if len(page) == limit {
			return page, at + 1
		}
		page = append(page, r.all[at])
	}
	return page, 0
}

// put creates or replaces a contact. Without an id it chooses one.
func (r *records) put(c Contact) (Contact, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := len(r.people) + 1; c.ID == ""; n++ {
		candidate := Contact{ID: strconv.Itoa(n), Type: c.Type}
		if _, taken := r.contacts[candidate.key()]; !taken {
			c.ID = candidate.ID
		}
	}
	if _, known := r.contacts[c.key()]; !known && r.bytes+maxName > r.maxBytes {
		return Contact{}, errFull
	} else if !known {
		r.bytes += maxName
	}
	if err := r.journal.write(storeContact(c)); err != nil {
		return Contact{}, fmt.Errorf("store contact: %w", err)
	}
	r.addContact(c)
	return c, nil
}

func (r *records) contact(key contactKey) (Contact, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.contacts[key]
	return c, ok
}

// findContacts returns one page of contacts, in the order of their creation, and
// the position of the next page; -1 when this was the last.
func (r *records) findContacts(phone string, from, limit int) (page []Contact, next int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for at := max(from, 0); at < len(r.people); at++ {
		c := r.contacts[r.people[at]]
		if phone != "" && c.PhoneNumber != phone {
			continue
		}
		if len(page) == limit {
			return page, at
		}
		page = append(page, c)
	}
	return page, -1
}
