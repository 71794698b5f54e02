package pipedrivetest

import (
	"net/http"
	"time"
)

// call is one request to the API on its way.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	token Token
	entry Request // what the journal will keep
}

// operation checks a request and returns what is left to do. It returns a refusal
// instead when the real API would refuse; no switched fault strikes such a
// request.
type operation func(*call) (apply func() reply, refusal *reply)

// route is one route of the API.
type route struct {
	name   Route
	v      version
	cost   int
	scopes []Scope // one of them is needed
	write  bool
	work   operation
}

// routes returns all routes: those of the API, the page and the judge's.
func (f *Fake) routes() http.Handler {
	read, full := []Scope{ReadActivities, FullActivities}, []Scope{FullActivities}
	cost := f.cfg.Costs
	mux := http.NewServeMux()
	handle := func(pattern string, r route) { mux.HandleFunc(pattern, f.serve(r)) }
	handle("POST /api/v2/activities", route{RouteActivities, v2, cost.Write, full, true, f.createActivity})
	handle("GET /api/v2/activities", route{RouteActivities, v2, cost.List, read, false, f.listActivities})
	handle("GET /api/v2/activities/{id}", route{RouteActivity, v2, cost.Get, read, false, f.readActivity})
	handle("PATCH /api/v2/activities/{id}", route{RouteActivity, v2, cost.Write, full, true, f.changeActivity})
	handle("DELETE /api/v2/activities/{id}", route{RouteActivity, v2, cost.Delete, full, true, f.deleteActivity})
	handle("GET /api/v2/persons/{id}", route{RoutePerson, v2, cost.Get, []Scope{ReadContacts}, false, f.readPerson})
	for _, prefix := range []string{"/v1", "/api/v1"} { // both are served: https://pipedrive.readme.io/docs/pipedrive-api-v2-migration-guide
		handle("GET "+prefix+"/users/me", route{RouteMe, v1, cost.Get, []Scope{Base}, false, f.readMe})
		handle("GET "+prefix+"/activityTypes", route{RouteTypes, v1, cost.List, read, false, f.listTypes})
	}
	mux.HandleFunc("GET /activities/{id}", onlyLoopback(f.activityPage))
	f.controlRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		f.limits.headersOf(w.Header())
		refuse(v1, http.StatusNotFound, "", "Unknown method .").write(w)
	})
	return mux
}

// serve is the life of a request:
//
//	credentials ─ limits ─ scope ─ checks ─ faults around the work ─ answer
func (f *Fake) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, entry: Request{
			At: f.cfg.Now().UTC(), Method: r.Method, Path: r.URL.Path, Query: known(r.URL.Query()),
		}}
		defer func() { f.journal.add(c.entry) }() // a broken-off answer panics
		token, refusal := f.tokens.check(rt.v, r.Header)
		over := f.limits.take(w.Header(), token.Text, rt.cost*btoi(refusal == nil))
		switch {
		case refusal != nil:
			f.tally.unauthorized.Add(1)
		case over != nil:
			f.tally.rateLimited.Add(1)
			refusal = over
		case !token.allows(rt.scopes...):
			refusal = new(refuse(v1, http.StatusForbidden, "", "Scope and URL mismatch"))
		}
		if refusal != nil {
			c.answer(*refusal)
			return
		}
		c.token = token
		f.work(rt, c)
	}
}

func (f *Fake) work(rt route, c *call) {
	if rt.write && c.r.Method == http.MethodPost {
		f.tally.attempted.Add(1)
	}
	apply, refusal := rt.work(c)
	if refusal != nil {
		f.tally.refused.Add(1)
		c.answer(*refusal)
		return
	}
	switches, fault := f.switches.strike(rt, c.r.Method)
	f.pause(switches.Slow)
	if fault == nil {
		c.answer(apply())
		return
	}
	f.tally.strikes.Add(1)
	c.entry.Fault = fault.Do
	f.misbehave(rt, c, *fault, apply)
}

// answer writes the reply and notes its status.
func (c *call) answer(r reply) {
	c.entry.Status = r.status
	r.write(c.w)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// stamp is a time as version 1 of the API writes it.
func stamp(t time.Time) string { return t.UTC().Format(time.DateTime) }
