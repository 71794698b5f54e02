package pipedrivetest

import (
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
)

// The sizes of a page of the judge's list, and of the list of doubled markers.
const (
	defaultAll = 1000
	maxAll     = 10_000
	maxDoubled = 100
)

// Counts is what the judge counts. What was lost only the client's side knows.
type Counts struct {
	// Attempted is how many creates came with valid credentials and scope, within
	// the limits; Applied is how many were stored.
	Attempted int64 `json:"attempted"`
	Applied   int64 `json:"applied"`
	// Late is how many writes were done after their answer; Pending is how many
	// still will be.
	Late    int64 `json:"late"`
	Pending int64 `json:"pending"`
	// Activities is how many there are, seeded ones included, deleted ones not.
	Activities int `json:"activities"`
	// Markers is how many different markers stand in them.
	Markers int `json:"markers"`
	// Doubled is how many markers stand in more than one activity; DoubledMarkers
	// are the first hundred of them.
	Doubled        int      `json:"doubled"`
	DoubledMarkers []string `json:"doubledMarkers"`
	// Unauthorized, RateLimited and Refused are requests that were answered with
	// 401 or with 400 for their credentials, with 429, and with a refusal of what
	// they asked.
	Unauthorized int64 `json:"unauthorized"`
	RateLimited  int64 `json:"rateLimited"`
	Refused      int64 `json:"refused"`
	// Faults is how many requests a switched fault has struck.
	Faults int64 `json:"faults"`
}

// Counts counts the activities and what happened since the start. It reads every
// activity.
func (f *Fake) Counts() Counts {
	t := &f.tally
	c := Counts{
		Attempted: t.attempted.Load(), Applied: t.applied.Load(), Late: t.late.Load(), Pending: t.pending.Load(),
		Unauthorized: t.unauthorized.Load(), RateLimited: t.rateLimited.Load(), Refused: t.refused.Load(), Faults: t.strikes.Load(),
		DoubledMarkers: []string{},
	}
	markers := make(map[string]int)
	for _, a := range f.records.list(0, func(a *Activity) bool { return !a.IsDeleted }) {
		c.Activities++
		for _, m := range a.Markers {
			markers[m]++
		}
	}
	c.Markers = len(markers)
	for m, times := range markers {
		if times > 1 {
			c.Doubled++
			c.DoubledMarkers = append(c.DoubledMarkers, m)
		}
	}
	slices.Sort(c.DoubledMarkers)
	c.DoubledMarkers = c.DoubledMarkers[:min(len(c.DoubledMarkers), maxDoubled)]
	return c
}

// controlRoutes adds the judge's routes, when they are wanted.
func (f *Fake) controlRoutes(mux *http.ServeMux) {
	if !f.cfg.Control {
		return
	}
	browserSafe := http.NewCrossOriginProtection() // no web page may steer the fake
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, browserSafe.Handler(onlyLoopback(h))) }
	handle("GET /_control/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handle("GET /_control/counts", func(w http.ResponseWriter, _ *http.Request) { reply{http.StatusOK, f.Counts()}.write(w) })
	handle("GET /_control/activities", f.listAll)
	handle("GET /_control/requests", f.listRequests)
	handle("GET /_control/switches", func(w http.ResponseWriter, _ *http.Request) { reply{http.StatusOK, f.Switches()}.write(w) })
	handle("PUT /_control/switches", f.replaceSwitches)
	handle("POST /_control/seed", f.seed)
}

// onlyLoopback hides a route from every other machine.
func onlyLoopback(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			refuse(v1, http.StatusNotFound, "", "Unknown method .").write(w)
			return
		}
		next(w, r)
	}
}

// listAll lists activities without lag, by id. The query's after and limit page
// through them.
func (f *Fake) listAll(w http.ResponseWriter, r *http.Request) {
	after, err1 := queryNumber(r, "after", 0, math.MaxInt)
	limit, err2 := queryNumber(r, "limit", defaultAll, maxAll)
	if err1 != nil || err2 != nil || limit == 0 {
		refuse(v1, http.StatusBadRequest, "", "after or limit is no number, or out of range").write(w)
		return
	}
	list := f.records.list(0, func(a *Activity) bool { return !a.IsDeleted && a.ID > int64(after) })
	var next *int64
	if len(list) > limit {
		list = list[:limit]
		next = &list[limit-1].ID
	}
	type judged struct {
		wireActivity
		Markers []string `json:"markers"`
	}
	items := make([]judged, len(list))
	for i, a := range list {
		items[i] = judged{onWire(a, true), a.Markers}
	}
	reply{http.StatusOK, map[string]any{"items": items, "after": next}}.write(w)
}

func (f *Fake) listRequests(w http.ResponseWriter, _ *http.Request) {
	list, dropped := f.journal.list()
	if list == nil {
		list = []Request{}
	}
	reply{http.StatusOK, map[string]any{"items": list, "dropped": dropped}}.write(w)
}

func queryNumber(r *http.Request, name string, fallback, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && (n < 0 || n > most) {
		err = strconv.ErrRange
	}
	return n, err
}

func (f *Fake) replaceSwitches(w http.ResponseWriter, r *http.Request) {
	var to Switches
	if !steer(w, r, &to) {
		return
	}
	if err := f.SetSwitches(to); err != nil {
		refuse(v1, http.StatusUnprocessableEntity, "", err.Error()).write(w)
		return
	}
	reply{http.StatusOK, f.Switches()}.write(w)
}

func (f *Fake) seed(w http.ResponseWriter, r *http.Request) {
	var s Seeding
	if !steer(w, r, &s) {
		return
	}
	if err := f.Seed(s); err != nil {
		refuse(v1, http.StatusUnprocessableEntity, "", err.Error()).write(w)
		return
	}
	reply{http.StatusOK, f.Counts()}.write(w)
}

// steer reads the body of a control request strictly. When it cannot, it answers
// and reports false.
func steer(w http.ResponseWriter, r *http.Request, to any) bool {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, to, standin.Durations())
	}
	if err != nil {
		refuse(v1, http.StatusBadRequest, "", "the body is not what it must be: "+err.Error()).write(w)
		return false
	}
	return true
}
