package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// set switches over HTTP, as tests outside this process do.
func (c *crm) set(switches string) {
	c.t.Helper()
	c.do("PUT", "/_control/switches", switches).want(c.t, 200)
}

func TestSwitchesOverHTTP(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Switches: Switches{SearchLag: time.Second}})
	text := `{"searchLag":"1.5s","searchDelay":"0s","applyDelay":"10ms","answerDelay":"20ms","dropAbandoned":true,` +
		`"faults":[{"do":"status","next":2,"status":503,"retryAfter":"3"}]}`
	c.set(text)
	if got := c.do("GET", "/_control/switches", "").want(t, 200).body; got != text {
		t.Errorf("got %s", got)
	}
	c.do("POST", "/activities", draft("a")).want(t, 503)
	if got := c.Switches().Faults; len(got) != 1 || got[0].Next != 1 {
		t.Errorf("after one strike the faults are %+v", got)
	}
	c.do("POST", "/activities", draft("a")).want(t, 503)
	if got := c.Switches().Faults; len(got) != 0 {
		t.Errorf("after two strikes the faults are %+v", got)
	}
	c.set(`{}`)
	if got := c.Switches(); got.SearchLag != 0 || len(got.Faults) != 0 || got.DropAbandoned {
		t.Errorf("{} left %+v", got)
	}
	for _, bad := range []string{
		`{"searchLag":"2h"}`, `{"searchLag":"-1s"}`, `{"faults":[{"next":1}]}`, `{"faults":[{"do":"reset"}]}`,
		`{"faults":[{"do":"reset","next":1,"probability":0.5}]}`, `{"faults":[{"do":"reset","probability":1.5}]}`,
		`{"faults":[{"do":"reset","next":-1}]}`, `{"faults":[{"do":"status","next":1}]}`,
		`{"faults":[{"do":"status","next":1,"status":200}]}`, `{"faults":[{"do":"late","next":1}]}`,
		`{"faults":[{"do":"reset","next":1,"delay":"1s"}]}`, `{"faults":[{"do":"reset","next":1,"status":500}]}`,
		`{"faults":[{"do":"late","on":"search","next":1,"delay":"1s"}]}`, `{"faults":[{"do":"garbage","when":"before","next":1}]}`,
		`{"faults":[{"do":"status","status":500,"next":1,"retryAfter":"a\r\nb"}]}`, `{"faults":[{"do":"reset","on":"x","next":1}]}`,
		`{"faults":[` + strings.Repeat(`{"do":"reset","next":1},`, maxFaults) + `{"do":"reset","next":1}]}`,
	} {
		c.do("PUT", "/_control/switches", bad).want(t, 422)
	}
	for _, bad := range []string{`{"searchlag":"1s"}`, `{"searchLag":1}`, `{"searchLag":"soon"}`, `[]`} {
		c.do("PUT", "/_control/switches", bad).want(t, 400)
	}
}

func TestStatusFaults(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for _, status := range []int{400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504} {
		for _, when := range []Moment{Before, After} {
			key := fmt.Sprint(status, when)
			fault := Fault{Do: Status, When: when, Status: status, RetryAfter: "Wed, 21 Oct 2015 07:28:00 GMT", Next: 1}
			if err := c.SetSwitches(Switches{Faults: []Fault{fault}}); err != nil {
				t.Fatal(err)
			}
			a := c.do("POST", "/activities", draft(key)).want(t, status)
			if got := a.header.Get("Retry-After"); got != fault.RetryAfter {
				t.Errorf("%s: Retry-After %q", key, got)
			}
			want := map[Moment]int{Before: 0, After: 1}[when]
			if got := len(c.find(key)); got != want {
				t.Errorf("%s: %d activities were stored, want %d", key, got, want)
			}
			c.do("POST", "/activities", draft(key)).want(t, 201) // the fault is spent
		}
	}
}

func TestResets(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for when, want := range map[Moment]int{"": 0, Before: 0, After: 1} {
		if err := c.SetSwitches(Switches{Faults: []Fault{{Do: Reset, When: when, Next: 1}}}); err != nil {
			t.Fatal(err)
		}
		key := "reset-" + string(when)
		if _, err := c.try(t.Context(), "POST", "/activities", draft(key)); !isReset(err) {
			t.Errorf("%q: got error %v, want a connection reset", when, err)
		}
		if got := len(c.find(key)); got != want {
			t.Errorf("%q: %d activities were stored, want %d", when, got, want)
		}
	}
	if got := c.Counts().Faults; got != 3 {
		t.Errorf("%d faults were counted", got)
	}
}

func TestUselessAnswers(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for _, do := range []Action{Garbage, Empty} {
		c.set(fmt.Sprintf(`{"faults":[{"do":%q,"next":1},{"on":"search","do":%q,"next":1}]}`, do, do))
		for _, a := range []answer{
			c.do("POST", "/activities", draft(string(do))).want(t, 200), c.do("GET", "/activities", "").want(t, 200),
		} {
			if json.Valid([]byte(a.body)) || (do == Empty) != (a.body == "") {
				t.Errorf("%s answered %q", do, a.body)
			}
		}
		if len(c.find(string(do))) != 1 {
			t.Errorf("%s: the activity was not stored", do)
		}
	}
}

func TestLateWrites(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Switches: Switches{Faults: []Fault{
		{Do: Late, Delay: 50 * time.Millisecond, Next: 1},
		{Do: Late, Delay: 50 * time.Millisecond, Status: 504, Next: 1},
	}}})
	if _, err := c.try(t.Context(), "POST", "/activities", draft("reset")); !isReset(err) {
		t.Errorf("got error %v, want a connection reset", err)
	}
	c.do("POST", "/activities", draft("status")).want(t, 504)
	await(t, func() bool { return len(c.Activities()) == 2 })

	slow := setup(t, Config{Switches: Switches{Faults: []Fault{{Do: Late, Delay: time.Minute, Status: 504, Next: 1}}}})
	slow.do("POST", "/activities", draft("a")).want(t, 504)
	if n := len(slow.Activities()); n != 0 {
		t.Errorf("%d activities were stored at once", n)
	}
	if err := slow.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(slow.Activities()); n != 1 {
		t.Error("Close lost a late write")
	}
}

func TestSearchLag(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Switches: Switches{SearchLag: maxDelay}})
	c.do("POST", "/activities", draft("a")).want(t, 201)
	if found := c.find("a"); len(found) != 0 {
		t.Errorf("the search saw %+v too early", found)
	}
	c.do("GET", "/activities/1", "").want(t, 200)
	if all := decode[list[Activity]](t, c.do("GET", "/_control/activities", "").want(t, 200)); len(all.Items) != 1 {
		t.Error("the judge lags")
	}
	c.set(`{"searchLag":"1ms"}`)
	await(t, func() bool { return len(c.find("a")) == 1 })
}

func TestDelays(t *testing.T) {
	t.Parallel()
	const delay = 80 * time.Millisecond
	for name, test := range map[string]struct {
		switches Switches
		call     func(c *crm)
	}{
		"apply":  {Switches{ApplyDelay: delay}, func(c *crm) { c.do("POST", "/activities", draft("a")).want(c.t, 201) }},
		"answer": {Switches{AnswerDelay: delay}, func(c *crm) { c.do("POST", "/activities", draft("a")).want(c.t, 201) }},
		"search": {Switches{SearchDelay: delay}, func(c *crm) { c.find("a") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, Config{Switches: test.switches})
			began := time.Now()
			test.call(c)
			if took := time.Since(began); took < delay {
				t.Errorf("took %s, want at least %s", took, delay)
			}
		})
	}
}

func TestClientsThatGo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		drop  bool
		delay time.Duration
		want  int
	}{"are finished": {false, time.Second, 1}, "are dropped": {true, maxDelay, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, Config{Switches: Switches{ApplyDelay: test.delay, DropAbandoned: test.drop}})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := c.try(ctx, "POST", "/activities", draft("a"))
				ended <- err
			}()
			await(t, func() bool { return c.Counts().Creates == 1 })
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Fatalf("got error %v", err)
			}
			await(t, func() bool { n := c.Counts(); return n.Activities+int(n.Abandoned) == 1 })
			if n := len(c.Activities()); n != test.want {
				t.Errorf("%d activities were stored, want %d", n, test.want)
			}
		})
	}
}

func TestProbabilityIsRepeatable(t *testing.T) {
	t.Parallel()
	struck := func(seed uint64) (pattern string) {
		b := newSwitchboard(Switches{Faults: []Fault{{Do: Reset, Probability: 0.5}}}, seed)
		for range 64 {
			_, f := b.strike(Create)
			pattern += fmt.Sprint(f != nil)[:1]
			if _, f := b.strike(Search); f != nil {
				t.Fatal("a fault of creates struck a search")
			}
		}
		return pattern
	}
	one := struck(1)
	if one != struck(1) || one == struck(2) || !strings.Contains(one, "t") || !strings.Contains(one, "f") {
		t.Errorf("seed 1 gave %s", one)
	}
}
