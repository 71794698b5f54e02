package pipedrivetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSwitchesOverHTTP(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Switches: Switches{ListLag: time.Second}})
	text := `{"listLag":"1.5s","slow":"10ms","faults":[{"route":"activities","method":"POST","skip":1,"next":2,"do":"status","status":503,"retryAfter":"3"}]}`
	c.set(text)
	if got := c.do("GET", "/_control/switches", "").want(t, 200).body; got != text {
		t.Errorf("got %s", got)
	}
	c.do("POST", "/api/v2/activities", sms).want(t, 200) // skipped
	c.do("GET", "/api/v2/activities", "").want(t, 200)
	c.do("GET", "/api/v2/persons/7", "").want(t, 200)
	c.do("POST", "/api/v2/activities", sms).want(t, 503)
	c.do("POST", "/api/v2/activities", `{"id":1}`).want(t, 400) // not in order: not struck
	c.do("POST", "/api/v2/activities", sms).want(t, 503)
	c.do("POST", "/api/v2/activities", sms).want(t, 200)
	if got := c.Switches(); len(got.Faults) != 0 || got.Slow != 10*time.Millisecond {
		t.Errorf("the switches are %+v", got)
	}
	c.set(`{}`)
	if got := c.Switches(); got.ListLag != 0 || got.Slow != 0 {
		t.Errorf("{} left %+v", got)
	}
	if got := c.Counts(); got.Faults != 2 || got.Attempted != 5 || got.Applied != 2 {
		t.Errorf("the counts are %+v", got)
	}
}

func TestSwitchesThatCannotBe(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for _, bad := range []string{
		`{"listLag":"2h"}`, `{"slow":"-1s"}`,
		`{"faults":[{}]}`, `{"faults":[{"do":"explode"}]}`, `{"faults":[{"do":"reset","route":"deals"}]}`, `{"faults":[{"do":"reset","method":"PUT"}]}`,
		`{"faults":[{"do":"reset","when":"never"}]}`, `{"faults":[{"do":"reset","next":-1}]}`, `{"faults":[{"do":"reset","skip":-1}]}`,
		`{"faults":[{"do":"reset","status":500}]}`, `{"faults":[{"do":"reset","junk":"html"}]}`, `{"faults":[{"do":"reset","delay":"1s"}]}`,
		`{"faults":[{"do":"reset","retryAfter":"1"}]}`, `{"faults":[{"do":"reset","message":"a"}]}`, `{"faults":[{"do":"reset","held":true}]}`,
		`{"faults":[{"do":"status"}]}`, `{"faults":[{"do":"status","status":200}]}`, `{"faults":[{"do":"status","status":600}]}`,
		`{"faults":[{"do":"status","status":500,"junk":"empty"}]}`, `{"faults":[{"do":"status","status":500,"retryAfter":"a\r\nb"}]}`,
		`{"faults":[{"do":"status","status":429,"rateLimitReset":-1}]}`, `{"faults":[{"do":"status","status":429,"message":"` + strings.Repeat("a", 513) + `"}]}`,
		`{"faults":[{"do":"garbage"}]}`, `{"faults":[{"do":"garbage","junk":"salad"}]}`,
		`{"faults":[{"do":"late"}]}`, `{"faults":[{"do":"late","delay":"2m"}]}`, `{"faults":[{"do":"late","delay":"1s","method":"GET"}]}`,
		`{"faults":[{"do":"late","delay":"1s","when":"after"}]}`, `{"faults":[{"do":"late","delay":"1s","status":500,"held":true}]}`,
		`{"faults":[{"do":"slow"}]}`,
		`{"faults":[` + strings.Repeat(`{"do":"reset"},`, maxFaults) + `{"do":"reset"}]}`,
	} {
		c.do("PUT", "/_control/switches", bad).want(t, 422)
	}
	for _, bad := range []string{`{"listlag":"1s"}`, `{"listLag":1}`, `{"slow":"soon"}`, `[]`, `{"faults":[{"do":"reset","probability":1}]}`} {
		c.do("PUT", "/_control/switches", bad).want(t, 400)
	}
}

func TestStatusFaults(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for _, status := range []int{400, 401, 403, 404, 408, 409, 410, 422, 425, 429, 500, 502, 503, 504} {
		for when, stored := range map[Moment]int{"": 0, Before: 0, After: 1} {
			before := len(c.Activities())
			if err := c.SetSwitches(Switches{Faults: []Fault{{Do: Status, When: when, Status: status, RetryAfter: "7"}}}); err != nil {
				t.Fatal(err)
			}
			a := c.do("POST", "/api/v2/activities", sms).want(t, status)
			got := decode[refusal](t, a)
			if a.header.Get("Retry-After") != "7" || got.Success == nil || *got.Success || got.Error == "" {
				t.Errorf("%d %s: %s with %v", status, when, a.body, a.header)
			}
			if gateway := status == 429 || status == 403; (got.ErrorCode == status) != gateway || (got.Code == "") != gateway {
				t.Errorf("%d: the envelope is %s", status, a.body)
			}
			if n := len(c.Activities()) - before; n != stored {
				t.Errorf("%d %s: %d activities were stored", status, when, n)
			}
			c.do("POST", "/api/v2/activities", sms).want(t, 200) // the fault is spent
		}
	}
}

func TestStatusFaultsInOtherClothes(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.set(`{"faults":[{"do":"status","status":429,"rateLimitReset":40000,"message":"API daily token budget exceeded"},
		{"do":"status","status":403,"junk":"html"},{"route":"me","do":"status","status":401}]}`)
	a := c.do("GET", "/v1/users/me", "").want(t, 429)
	if a.header.Get("X-Ratelimit-Reset") != "40000" || a.header.Get("X-Ratelimit-Remaining") != "0" || a.header.Get("Retry-After") != "" ||
		decode[refusal](t, a).Error != "API daily token budget exceeded" {
		t.Errorf("%s with %v", a.body, a.header)
	}
	a = c.do("GET", "/v1/users/me", "").want(t, 403)
	if !strings.HasPrefix(a.body, "<!DOCTYPE html>") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("%s with %v", a.body, a.header)
	}
	c.do("GET", "/v1/activityTypes", "").want(t, 200)
	if got := decode[refusal](t, c.do("GET", "/v1/users/me", "").want(t, 401)); got.ErrorCode != 401 {
		t.Errorf("the refusal is %+v", got)
	}
}

func TestResets(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	stored := 0
	for when, more := range map[Moment]int{"": 0, Before: 0, After: 1} {
		if err := c.SetSwitches(Switches{Faults: []Fault{{Do: Reset, When: when}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.try(t.Context(), "POST", "/api/v2/activities", sms); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: got error %v, want a reset", when, err)
		}
		if stored += more; len(c.Activities()) != stored {
			t.Errorf("%q: %d activities were stored", when, len(c.Activities()))
		}
	}
	await(t, func() bool { return len(c.Requests()) == 3 })
	if got := c.Requests()[0]; got.Status != 0 || got.Fault != Reset {
		t.Errorf("the journal has %+v", got)
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for junk, is := range map[Junk]func(body string, got record) bool{
		HTML: func(body string, _ record) bool { return strings.HasPrefix(body, "<!DOCTYPE html>") },
		Truncated: func(body string, _ record) bool {
			return strings.HasPrefix(body, `{"success":true,`) && !json.Valid([]byte(body))
		},
		Empty:      func(body string, _ record) bool { return body == "" },
		NoData:     func(_ string, got record) bool { _, has := got["data"]; return got["success"] == true && !has },
		NotSuccess: func(_ string, got record) bool { return got["success"] == false && got["error"] != "" },
		NoID:       func(_ string, got record) bool { return !hasID(got) && got["data"] != nil },
		TextID:     func(_ string, got record) bool { return hasID(got) && textIDs(got) },
	} {
		for when, stored := range map[Moment]int{"": 1, After: 1, Before: 0} {
			before := len(c.Activities())
			fault := Fault{Do: Garbage, Junk: junk, When: when, Next: 3}
			if err := c.SetSwitches(Switches{Faults: []Fault{fault}}); err != nil {
				t.Fatal(err)
			}
			for _, a := range []answer{
				c.do("POST", "/api/v2/activities", sms), c.do("GET", "/api/v2/activities", ""), c.do("GET", "/api/v2/persons/7", ""),
			} {
				var got record
				_ = json.Unmarshal([]byte(a.want(t, 200).body), &got) // junk need not be JSON
				if !is(a.body, got) {
					t.Errorf("%s %s answered %s", junk, when, a.body)
				}
			}
			if n := len(c.Activities()) - before; n != stored {
				t.Errorf("%s %s: %d activities were stored", junk, when, n)
			}
		}
	}
	c.set(`{"faults":[{"do":"garbage","junk":"html"}]}`)
	c.do("GET", "/api/v2/persons/9", "").want(t, 404) // there is no success to spoil
}

// dataOf returns the data of an answer as a list.
func dataOf(got record) []any {
	if list, ok := got["data"].([]any); ok {
		return list
	}
	return []any{got["data"]}
}

func hasID(got record) bool {
	for _, r := range dataOf(got) {
		if m, ok := r.(record); ok && m["id"] != nil {
			return true
		}
	}
	return false
}

func textIDs(got record) bool {
	for _, r := range dataOf(got) {
		if _, text := r.(record)["id"].(string); !text {
			return false
		}
	}
	return true
}

func TestLateWrites(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.set(`{"faults":[{"do":"late","delay":"50ms"},{"do":"late","delay":"50ms","status":504},{"do":"late","delay":"50ms","held":true}]}`)
	c.do("GET", "/api/v2/activities", "").want(t, 200) // only a write can be late
	if _, err := c.try(t.Context(), "POST", "/api/v2/activities", sms); !isReset(err) {
		t.Errorf("got error %v, want a reset", err)
	}
	c.do("POST", "/api/v2/activities", sms).want(t, 504)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.try(ctx, "POST", "/api/v2/activities", sms); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want none but the client's own", err)
	}
	await(t, func() bool { n := c.Counts(); return n.Applied == 3 && n.Late == 3 && n.Pending == 0 })

	c.set(`{"faults":[{"do":"late","delay":"1m","status":504,"next":9}]}`)
	c.do("POST", "/api/v2/activities", sms).want(t, 504)
	c.do("PATCH", "/api/v2/activities/1", `{"subject":"late"}`).want(t, 504)
	c.do("DELETE", "/api/v2/activities/2", "").want(t, 504)
	if n := c.Counts(); n.Pending != 3 || n.Applied != 3 {
		t.Errorf("the counts are %+v", n)
	}
	c.Close() // does at once what was pending
	c.do("POST", "/api/v2/activities", sms).want(t, 504)
	if n := c.Counts(); n.Pending != 0 || n.Applied != 5 || n.Activities != 4 || c.Activities()[0].Subject != "late" {
		t.Errorf("after Close the counts are %+v", n)
	}
}

func TestHeldConnections(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for when, stored := range map[Moment]int{Before: 0, After: 1} {
		before := len(c.Activities())
		if err := c.SetSwitches(Switches{Faults: []Fault{{Do: Hold, When: when}}}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := c.try(ctx, "POST", "/api/v2/activities", sms)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || len(c.Activities())-before != stored {
			t.Errorf("%s: error %v, %d stored", when, err, len(c.Activities())-before)
		}
	}
	await(t, func() bool { return len(c.Requests()) == 2 }) // a client that goes is let go
	c.set(`{"faults":[{"do":"hold"}]}`)
	ended := make(chan error, 1)
	go func() {
		_, err := c.try(t.Context(), "POST", "/api/v2/activities", sms) // which no client repeats by itself
		ended <- err
	}()
	await(t, func() bool { return c.Counts().Faults == 3 })
	c.Close()
	if err := <-ended; !isReset(err) {
		t.Errorf("Close left the client with %v", err)
	}
}

// bubble is a fake in a bubble of synctest, without a listener.
func bubble(t *testing.T, s Switches) (*Fake, func(method, path, body string) (int, string)) {
	t.Helper()
	f, err := New(Config{Tokens: []Token{{Text: secret}}, Switches: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, func(method, path, body string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		defer func() {
			if reason := recover(); reason != nil && reason != http.ErrAbortHandler {
				panic(reason)
			}
		}()
		f.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
}

func TestListLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, do := bubble(t, Switches{ListLag: 10 * time.Second})
		do("POST", "/api/v2/activities", sms)
		for wait, want := range []int{0, 0, 1} { // after 0, 5 and 10 seconds
			if _, text := do("GET", "/api/v2/activities?person_id=7", ""); strings.Count(text, `"id":1`) != want {
				t.Errorf("after %d s the list is %s", 5*wait, text)
			}
			if status, _ := do("GET", "/api/v2/activities/1", ""); status != 200 || len(f.Activities()) != 1 {
				t.Error("reading by id lags")
			}
			time.Sleep(5 * time.Second) // the bubble's time
		}
		if err := f.Seed(Seeding{PersonID: 7, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if _, text := do("GET", "/api/v2/activities?sort_direction=desc", ""); !strings.Contains(text, `"id":2`) {
			t.Errorf("the seeded activity lags: %s", text)
		}
	})
}

func TestDelays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		switches        Switches
		request         string
		took, storedAt  time.Duration
		status, storing int
	}{
		"slow":        {Switches{Slow: 3 * time.Second}, "POST /api/v2/activities", 3 * time.Second, 3 * time.Second, 200, 1},
		"slow read":   {Switches{Slow: 3 * time.Second}, "GET /v1/users/me", 3 * time.Second, 0, 200, 0},
		"slow before": {Switches{Faults: []Fault{{Do: Slow, Delay: 4 * time.Second}}}, "POST /api/v2/activities", 4 * time.Second, 4 * time.Second, 200, 1},
		"slow after":  {Switches{Faults: []Fault{{Do: Slow, When: After, Delay: 4 * time.Second}}}, "POST /api/v2/activities", 4 * time.Second, 0, 200, 1},
		"late":        {Switches{Faults: []Fault{{Do: Late, Status: 504, Delay: 5 * time.Second}}}, "POST /api/v2/activities", 0, 5 * time.Second, 504, 1},
		"late, slow": {
			Switches{Slow: time.Second, Faults: []Fault{{Do: Late, Status: 504, Delay: 5 * time.Second}}},
			"POST /api/v2/activities", time.Second, 6 * time.Second, 504, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, do := bubble(t, test.switches)
				method, path, _ := strings.Cut(test.request, " ")
				began := time.Now()
				if status, text := do(method, path, map[string]string{"POST": sms}[method]); status != test.status {
					t.Errorf("got %d %s", status, text)
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("it took %s, want %s", took, test.took)
				}
				time.Sleep(time.Minute) // the bubble's time
				if n := len(f.Activities()); n != test.storing {
					t.Fatalf("%d activities were stored", n)
				}
				if test.storing == 1 {
					if at := f.Activities()[0].made.Sub(began); at != test.storedAt {
						t.Errorf("it was stored after %s, want %s", at, test.storedAt)
					}
				}
			})
		})
	}
}

func TestClientsThatGoAreServed(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.set(`{"slow":"100ms"}`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.try(ctx, "POST", "/api/v2/activities", sms)
		ended <- err
	}()
	await(t, func() bool { return c.Counts().Attempted == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v", err)
	}
	await(t, func() bool { return c.Counts().Applied == 1 })
}

func TestSlots(t *testing.T) {
	t.Parallel()
	f, err := New(Config{Tokens: []Token{{Text: secret}}, MaxConcurrent: 1, Switches: Switches{Faults: []Fault{{Do: Late, Status: 504, Delay: time.Minute}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v2/activities", strings.NewReader(sms))
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r) // the request itself holds the only slot
	if w.Code != 503 || f.Counts().Pending != 0 {
		t.Errorf("got %d %s, %s", w.Code, w.Body, fmt.Sprint(f.Counts()))
	}
	if !f.acquire() {
		t.Fatal("the slot was not given back")
	}
	w = httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r)
	if w.Code != 503 {
		t.Errorf("without a slot: %d", w.Code)
	}
	f.release()
}
