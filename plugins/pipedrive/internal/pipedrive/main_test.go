package pipedrive

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the cases provoke many warnings
	goleak.VerifyTestMain(m)
}

// The routes that the adapter uses.
const (
	routeMe      = "GET /v1/users/me"
	routeTypes   = "GET /v1/activityTypes"
	routePerson  = "GET /api/v2/persons/7"
	routeCreate  = "POST /api/v2/activities"
	routeList    = "GET /api/v2/activities"
	smsType      = `{"id":4,"name":"SMS","key_string":"sms","active_flag":true}`
	emptyPage    = `{"success":true,"data":[],"additional_data":{"next_cursor":null}}`
	adaOfOrg     = `{"success":true,"data":{"id":7,"name":"Ada Lovelace","org_id":70,"owner_id":42}}`
	createdAs12  = `{"success":true,"data":{"id":12}}`
	graceIs42    = `{"success":true,"data":{"id":42,"name":"Grace Hopper","access":[{"app":"sales","admin":false}]}}`
	callAndSMS   = `{"success":true,"data":[{"id":1,"name":"Call","key_string":"call","active_flag":true},` + smsType + `]}`
	personGone   = `{"success":false,"error":"Person not found","code":"ERR_NOT_FOUND","error_info":"Please check developers.pipedrive.com."}`
	leadOfAda    = "adf21080-0e10-11eb-879b-05d71fb426ec"
	sdktestToken = "Bearer sdktest-token"
)

// answer is what a site answers to one request.
type answer struct {
	status int
	body   string
	header http.Header
}

// site is as much of Pipedrive as one test needs: fixed answers to the routes, and
// a record of what was asked.
type site struct {
	url string

	mu      sync.Mutex
	answers map[string][]answer // the last one stays
	asked   []string            // routes, in order
	bodies  []map[string]any    // of creates
	queries []string            // of lists
	held    map[string]func()   // called before the answer
}

// newSite returns a site where everything goes well, but for the given answers.
func newSite(t *testing.T, answers map[string][]answer) *site {
	t.Helper()
	s := &site{answers: map[string][]answer{
		routeMe:     ok(graceIs42),
		routeTypes:  ok(callAndSMS),
		routePerson: ok(adaOfOrg),
		routeCreate: ok(createdAs12),
		routeList:   ok(emptyPage),
	}}
	maps.Copy(s.answers, answers)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

// ok returns answers of 200 with these bodies.
func ok(bodies ...string) []answer {
	var out []answer
	for _, body := range bodies {
		out = append(out, answer{http.StatusOK, body, nil})
	}
	return out
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := r.Method + " " + r.URL.Path
	body, _ := io.ReadAll(r.Body)
	a, known := s.next(route, r.URL.RawQuery, body)
	s.mu.Lock()
	wait := s.held[route]
	s.mu.Unlock()
	if wait != nil {
		wait()
	}
	if !known || r.Header.Get("Authorization") == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (s *site) next(route, query string, body []byte) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, route)
	switch route {
	case routeCreate:
		var members map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.UseNumber()
		if decoder.Decode(&members) != nil {
			members = nil
		}
		s.bodies = append(s.bodies, members)
	case routeList:
		s.queries = append(s.queries, query)
	}
	list := s.answers[route]
	if len(list) == 0 {
		return answer{}, false
	}
	if len(list) > 1 {
		s.answers[route] = list[1:]
	}
	return list[0], true
}

// set replaces the answers of a route.
func (s *site) set(route string, answers []answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[route] = answers
}

// hold makes the answers of a route wait for proceed, after arrived was told of the
// first one.
func (s *site) hold(route string, arrived chan<- struct{}, proceed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = map[string]func(){route: func() {
		select {
		case arrived <- struct{}{}:
		default:
		}
		<-proceed
	}}
}

// times returns how often a route was asked.
func (s *site) times(route string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, asked := range s.asked {
		if asked == route {
			n++
		}
	}
	return n
}

func (s *site) routes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// created returns the only activity that was sent.
func (s *site) created(t *testing.T) map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bodies) != 1 {
		t.Fatalf("%d activities were sent", len(s.bodies))
	}
	return s.bodies[0]
}

// newAdapter returns an adapter that takes the address for Pipedrive's.
func newAdapter(t *testing.T, address string) *Adapter {
	t.Helper()
	a, err := open(crmhttp.Config{BaseURL: address, AllowPrivate: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// request returns a request of an account, for these messages.
func request(messages ...sdk.Message) *sdk.AddMessageLogRequest {
	req := sdktest.Request(messages...)
	req.User = sdktest.User(`{"id":"42","name":"Grace Hopper","hostname":"acme.pipedrive.com"}`)
	return req
}
