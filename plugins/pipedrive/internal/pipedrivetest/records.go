package pipedrivetest

import (
	"errors"
	"regexp"
	"slices"
	"sync"
	"time"
)

// errFull is the refusal of a create that does not fit any more.
var errFull = errors.New("the fake's memory for activities is full")

// records holds every activity in memory. Its methods may be called
// concurrently.
type records struct {
	marker   *regexp.Regexp
	maxBytes int64

	mu       sync.RWMutex // guards what follows
	bytes    int64
	all      []*Activity // all[i] has the id i+1
	byPerson map[int64][]int64
}

func newRecords(c Config) *records {
	return &records{marker: c.Marker, maxBytes: c.MaxBytes, byPerson: make(map[int64][]int64)}
}

// insert stores a new activity under the next id. It never looks for another one
// like it. Lists see it from made on; zero is at once.
func (r *records) insert(a Activity, at, made time.Time) (*Activity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := a.size()
	if r.bytes+size > r.maxBytes {
		return nil, errFull
	}
	r.bytes += size
	a.ID = int64(len(r.all)) + 1
	a.AddTime = at.UTC().Truncate(time.Second)
	a.UpdateTime = a.AddTime
	a.made = made
	if a.Done {
		a.DoneTime = a.AddTime
	}
	a.Note = sanitize(a.Note)
	a.Markers = r.find(a.Note)
	r.all = append(r.all, &a)
	r.index(&a, 0)
	return &a, nil
}

// index puts the activity under its person, when that is another than before.
func (r *records) index(a *Activity, before int64) {
	if a.PersonID == before {
		return
	}
	if before != 0 {
		r.byPerson[before] = slices.DeleteFunc(r.byPerson[before], func(id int64) bool { return id == a.ID })
	}
	if a.PersonID != 0 {
		r.byPerson[a.PersonID] = append(r.byPerson[a.PersonID], a.ID)
	}
}

// get returns an activity, nil when there is none.
func (r *records) get(id int64) *Activity {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if id < 1 || id > int64(len(r.all)) {
		return nil
	}
	return r.all[id-1]
}

// change replaces an activity by what edit makes of it. It returns nil when there
// is none, or when it is deleted.
func (r *records) change(id int64, at time.Time, edit func(*Activity)) *Activity {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id < 1 || id > int64(len(r.all)) || r.all[id-1].IsDeleted {
		return nil
	}
	old := r.all[id-1]
	next := *old
	edit(&next)
	next.UpdateTime = at.UTC().Truncate(time.Second)
	switch {
	case !next.Done:
		next.DoneTime = time.Time{}
	case !old.Done:
		next.DoneTime = next.UpdateTime
	}
	next.Note = sanitize(next.Note)
	next.Markers = r.find(next.Note)
	r.bytes += next.size() - old.size()
	r.all[id-1] = &next
	r.index(&next, old.PersonID)
	return &next
}

// list returns the activities that keep accepts, oldest first. Of a person it
// looks only at that person's; 0 is everybody.
func (r *records) list(person int64, keep func(*Activity) bool) []*Activity {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []*Activity
	if person == 0 {
		for _, a := range r.all {
			if keep(a) {
				out = append(out, a)
			}
		}
		return out
	}
	for _, id := range r.byPerson[person] {
		if a := r.all[id-1]; keep(a) {
			out = append(out, a)
		}
	}
	return out
}

// find returns the client's references in a note.
func (r *records) find(note string) []string {
	var out []string
	for _, m := range r.marker.FindAllStringSubmatch(note, -1) {
		marker := m[0]
		if len(m) > 1 {
			marker = m[1]
		}
		if !slices.Contains(out, marker) {
			out = append(out, marker)
		}
	}
	return out
}
