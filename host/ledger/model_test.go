package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// The model is the protocol of docs/DELIVERY.md in a small world: the real state
// table, callers, calls to an adapter, a CRM that acts late and is searched with a
// lag, a host that dies, a person who settles by hand. Every order in which things
// can happen is tried, with so many faults among them. In every state it must hold
// that
//
//   - no message stands in two CRM records,
//   - nobody was told a log ID that the CRM does not have,
//   - no failed entry, and none that was told as surely not logged, has a record or
//     gets one, unless it was asked for again,
//   - exactly the entries that are not failed or forgotten hold their messages,
//   - every entry comes back by itself, and a world without further faults ends with
//     every entry logged, failed or, when nobody can search, unknown.
//
// TestModelFindsEveryMissingRule takes out one rule at a time and demands that the
// model finds what breaks.

const a, ab, b = uint8(1), uint8(3), uint8(2)

// mostStates bounds a world: one that grows past it is to be made smaller.
const mostStates = 1_000_000

// worlds are the small worlds, by what is special about them.
func worlds() map[string]modelConfig {
	base := modelConfig{
		window: 1, applyWithin: 1, lag: 1, canFind: true,
		wants: [numCallers]uint8{a, a}, posts: [numCallers]uint8{2, 1}, faults: 2,
	}
	one := base
	one.posts = [numCallers]uint8{2, 0}
	vary := func(c modelConfig, change func(*modelConfig)) modelConfig { change(&c); return c }
	return map[string]modelConfig{
		"one message, two callers": vary(base, func(c *modelConfig) { c.power = true }),
		"groups that overlap": vary(base, func(c *modelConfig) {
			c.wants, c.posts, c.faults = [numCallers]uint8{ab, b}, [numCallers]uint8{1, 1}, 1
		}),
		"a person settles":           vary(one, func(c *modelConfig) { c.acts, c.faults = 2, 1 }),
		"records are deleted":        vary(one, func(c *modelConfig) { c.acts, c.faults, c.forget = 2, 0, true }),
		"an adapter without search":  vary(one, func(c *modelConfig) { c.acts, c.canFind, c.power = 2, false, true }),
		"asynchronous":               vary(one, func(c *modelConfig) { c.async, c.faults = true, 1 }),
		"longer times":               vary(one, func(c *modelConfig) { c.window, c.applyWithin, c.lag = 2, 2, 2 }),
		"an adapter that is stopped": vary(base, func(c *modelConfig) { c.paused, c.applyWithin, c.lag = true, 0, 0 }),
	}
}

// smaller makes a world for a slow run.
func smaller(c modelConfig) modelConfig {
	c.faults, c.acts = min(c.faults, 1), min(c.acts, 1)
	c.posts = [numCallers]uint8{min(c.posts[0], 2-c.posts[1]), c.posts[1]}
	c.patient = true
	if c.wants[0] == ab || c.async {
		c.faults = 0
	}
	return c
}

func TestModelHolds(t *testing.T) {
	for name, cfg := range worlds() {
		t.Run(name, func(t *testing.T) {
			if raceOn || testing.Short() {
				cfg = smaller(cfg)
			}
			began := time.Now()
			v := explore(cfg, mostStates)
			if v.violation != "" {
				t.Errorf("%s\n%s", v.violation, strings.Join(v.trace, "\n"))
			}
			if v.states < 1000 {
				t.Errorf("only %d states: the world does not move", v.states)
			}
			t.Logf("%d states, depth %d, %s", v.states, v.depth, time.Since(began).Round(time.Millisecond))
		})
	}
}

// missing is one rule taken out of one world, and what must come of it.
type missing struct {
	world   string
	change  func(*modelConfig)
	without ablation
	want    string
}

func asNotFound(change func(*ledger.NotFound)) func(*ledger.Entry, *ledger.Event, *ledger.RowState) {
	return func(_ *ledger.Entry, ev *ledger.Event, _ *ledger.RowState) {
		if n, ok := (*ev).(ledger.NotFound); ok {
			change(&n)
			*ev = n
		}
	}
}

// doubtUntil replaces the settling time of every new doubt.
func doubtUntil(until func(modelConfig, time.Time) time.Time) func(modelConfig, ledger.Event, *ledger.Result) {
	return func(c modelConfig, ev ledger.Event, res *ledger.Result) {
		switch ev.(type) {
		case ledger.Lost, ledger.Expire:
			e := &res.Entry
			e.UnsettledUntil = until(c, e.UnsettledUntil)
			if e.UnsettledUntil.Before(e.NextAt) {
				e.NextAt = e.UnsettledUntil
			}
		}
	}
}

const (
	twice   = "stands in two CRM records"
	ghost   = "was told that it is surely not logged"
	failing = "failed, and the CRM has a record"
)

// missingRules are named by rule and by the number of the naive failure that its
// absence brings, as in docs/DELIVERY.md.
func missingRules() map[string]missing {
	const usual, person, queue = "one message, two callers", "a person settles", "asynchronous"
	never := func(*modelConfig) {}
	twoFaults := func(c *modelConfig) { c.faults = 2 }
	return map[string]missing{
		"rule 1, naive 2: no look at NotAfter": {usual, never, ablation{notAfter: true}, failing},
		"rule 2, naive 1: not found is believed at once": {usual, never, ablation{
			event: asNotFound(func(n *ledger.NotFound) { n.Age = -time.Hour }),
		}, failing},
		"rule 2: not found is of the moment the search ended": {usual, never, ablation{
			event: asNotFound(func(n *ledger.NotFound) { n.Age = 0 }),
		}, failing},
		"rule 2: a call that may still send is taken for dead": {"an adapter that is stopped", never, ablation{
			event: asNotFound(func(n *ledger.NotFound) { n.Dead = true }),
		}, failing},
		"rule 2, naive 3: settling counts from the doubt": {usual, never, ablation{
			result: doubtUntil(func(c modelConfig, _ time.Time) time.Time {
				return modelNow.Add(time.Duration(c.applyWithin+c.lag) * time.Second)
			}),
		}, failing},
		"rule 2: without the CRM's apply time": {"longer times", never, ablation{
			result: doubtUntil(func(c modelConfig, at time.Time) time.Time {
				return at.Add(-time.Duration(c.applyWithin) * time.Second)
			}),
		}, failing},
		"rule 2: without the search's lag": {"longer times", never, ablation{
			result: doubtUntil(func(c modelConfig, at time.Time) time.Time {
				return at.Add(-time.Duration(c.lag) * time.Second)
			}),
		}, failing},
		"rule 3, naive 4: a stale failure counts": {queue, twoFaults, ablation{
			event: func(e *ledger.Entry, ev *ledger.Event, _ *ledger.RowState) {
				if f, ok := (*ev).(ledger.Failure); ok {
					f.Epoch = e.Epoch
					*ev = f
				}
			},
		}, failing},
		"rule 4, naive 15: claims are lazy":                           {usual, never, ablation{durableClaims: true}, failing},
		"rule 5, naive 5: a failure is told first":                    {queue, never, ablation{writeBeforeTelling: true}, ghost},
		"rule 5, naive 6: an uncertain claim is surely not sent":      {queue, never, ablation{uncertainty: true}, ghost},
		"rule 5: a log ID is lazy, and nobody can search":             {"an adapter without search", never, ablation{durableLogID: true}, "nobody remembers"},
		"rule 8, naive 7: retry without claiming again":               {person, never, ablation{claims: true, event: blindRetry, result: keepRows}, twice},
		"rule 8, naive 8: not logged is accepted before settling":     {person, never, ablation{event: hastyPerson}, failing},
		"rule 11: adapters outlive their host":                        {"an adapter that is stopped", never, ablation{lifeline: true}, failing},
		"rule 16: the store's window is not longer than the host's":   {usual, never, ablation{result: doubtUntil(noSlack)}, failing},
		"the answer's class, naive 9: an empty log ID is a rejection": {usual, never, ablation{emptyIDIsUnknown: true}, failing},
	}
}

func blindRetry(_ *ledger.Entry, ev *ledger.Event, rows *ledger.RowState) {
	if _, ok := (*ev).(ledger.Retry); ok {
		*rows = ledger.RowsFree
	}
}

func keepRows(_ modelConfig, ev ledger.Event, res *ledger.Result) {
	if _, ok := ev.(ledger.Retry); ok {
		res.Rows = ledger.KeepRows
	}
}

func hastyPerson(e *ledger.Entry, ev *ledger.Event, _ *ledger.RowState) {
	if _, ok := (*ev).(ledger.ResolveNotLogged); ok {
		e.UnsettledUntil = time.Time{}
	}
}

func noSlack(_ modelConfig, at time.Time) time.Time { return at.Add(-time.Second) }

func TestModelFindsEveryMissingRule(t *testing.T) {
	all := worlds()
	for name, c := range missingRules() {
		t.Run(name, func(t *testing.T) {
			cfg, ok := all[c.world]
			if !ok {
				t.Fatalf("there is no world %q", c.world)
			}
			c.change(&cfg)
			cfg.without = c.without
			v := explore(cfg, mostStates)
			trace := strings.Join(v.trace, "\n")
			if !strings.Contains(v.violation, c.want) {
				t.Fatalf("want a state in which a message %q, got %q after %d states\n%s", c.want, v.violation, v.states, trace)
			}
			t.Logf("%s (%d states)\n%s", v.violation, v.states, trace)
		})
	}
}
