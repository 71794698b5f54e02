package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// denial is an answer of Pipedrive that means "surely not done", and what becomes
// of it.
type denial struct {
	fault object
	code  string
	refusal
	// says stands in the answer's detail.
	says string
	// tries is how often the host tries within the window.
	tries int
}

// denied is a denial for good.
func denied(f object, code, says string) denial {
	return denial{fault: f, code: code, refusal: refusal{status: 424, class: "permanent", source: "crm"}, says: says, tries: 1}
}

// limit is a denial for the sake of a limit. No wait of a limit fits into the
// window.
func limit(f object, wait int, says string) denial {
	return denial{
		fault: merged(answers(429), f), code: "rate_limited", says: says, tries: 1,
		refusal: refusal{status: 429, class: "retryable", source: "crm", wait: [2]int{wait, wait}},
	}
}

// down is a denial for now, tried again at once.
func down(f object) denial {
	return denial{fault: f, code: "crm_unavailable", refusal: refusal{status: 503, class: "retryable", source: "crm"}, tries: 3}
}

// dailyBudget is what Pipedrive says when the company has used up its day.
const dailyBudget = "Request over limit: API daily token budget exceeded"

// denials are those of every route.
var denials = map[string]denial{
	"400":                  denied(merged(answers(400), object{"message": "Bad request: no"}), "crm_rejected", "Bad request: no"),
	"400 with the token":   denied(merged(answers(400), object{"message": "Odd: " + markedToken}), "crm_rejected", "Odd: [redacted]"),
	"401":                  denied(answers(401), "crm_unauthorized", "access token is invalid"),
	"403":                  denied(answers(403), "crm_unauthorized", "Scope and URL mismatch"),
	"403 from the network": denied(merged(answers(403), object{"junk": "html"}), "crm_unauthorized", "403"),
	"404":                  denied(answers(404), "crm_rejected", "404"),
	"410":                  denied(answers(410), "crm_rejected", "410"),
	"422":                  denied(answers(422), "crm_rejected", "422"),
	"429, Retry-After":     limit(object{"retryAfter": "7"}, 7, "Request over limit"),
	"429, reset":           limit(object{"rateLimitReset": 3}, 3, "Request over limit"),
	"429, both":            limit(object{"rateLimitReset": 3, "retryAfter": "9"}, 9, "Request over limit"),
	"429, soon":            limit(object{"rateLimitReset": 1}, 2, "Request over limit"),
	"429, unsaid":          limit(nil, 2, "Request over limit"),
	"429, day":             limit(object{"message": dailyBudget}, 3600, "daily budget"),
	"429, day, reset":      limit(object{"message": dailyBudget, "rateLimitReset": 40_000}, 40_000, "daily budget"),
	"429, day, burst's":    limit(object{"message": dailyBudget, "retryAfter": "2"}, 3600, "daily budget"),
	"503":                  down(answers(503)),
	"503, Retry-After": {
		fault: merged(answers(503), object{"retryAfter": "9"}), code: "crm_unavailable", tries: 1,
		refusal: refusal{status: 503, class: "retryable", source: "crm", wait: [2]int{9, 9}},
	},
}

// deniedReads are what is a denial before the create alone: afterwards nobody could
// tell.
var deniedReads = map[string]denial{
	"500": down(answers(500)), "502": down(answers(502)), "504": down(answers(504)), "reset": down(object{"do": "reset"}),
	"html": down(junk("html")), "truncated": down(junk("truncated")), "empty": down(junk("empty")),
	"no data": down(junk("noData")), "not success": down(junk("notSuccess")),
}

// deniedRecords are what is a denial where one record is read, for its id.
var deniedRecords = map[string]denial{"no id": down(junk("noId")), "text for id": down(junk("textId"))}

// TestPipedriveRefuses has Pipedrive deny, each in its turn, the requests that a
// call needs. The caller is told what it was and when to come back, nothing is
// logged, and the same call logs once when Pipedrive is well again.
func TestPipedriveRefuses(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	message := 0
	for _, step := range []struct {
		route, method string
		cases         []map[string]denial
	}{
		{"activityTypes", "GET", []map[string]denial{denials, deniedReads}},
		{"me", "GET", []map[string]denial{denials, deniedReads, deniedRecords}},
		{"person", "GET", []map[string]denial{denials, deniedReads, deniedRecords}},
		{"activities", "POST", []map[string]denial{denials}},
	} {
		all := map[string]denial{}
		for _, cases := range step.cases {
			maps.Copy(all, cases)
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			message++
			t.Run(step.route+"/"+name, func(t *testing.T) {
				d := all[name]
				b.crm.faults(t, always(merged(d.fault, object{"route": step.route, "method": step.method})))
				d.happens(t, b, message)
				if step.method == http.MethodPost {
					d.wasTried(t, b.crm)
				}
			})
		}
	}
	b.ends(t)
}

// happens sends a message while Pipedrive denies, and again when it does not.
func (d denial) happens(t *testing.T, b *pipedriveBench, message int) {
	t.Helper()
	before := b.crm.counts(t)
	hostname := fmt.Sprintf("acme-%d.pipedrive.com", message) // an account whose types are not known yet
	own := fields{"user": pipedriveUser("u-1", hostname)}
	got := b.relay(own, message)
	d.check(t, codeOf(d.code), got)
	refused := got.refused(t, d.status, d.code)
	if !strings.Contains(refused.Detail, d.says) {
		t.Errorf("detail %q, want %q in it", refused.Detail, d.says)
	}
	if len(refused.MessageLogs) != 1 {
		t.Fatalf("no entry is named: %s", got.body)
	}
	e := b.entry(t, "acme", refused.MessageLogs[0])
	if e.State != "failed" || e.Attempts != 1 || e.Problem == nil || e.Problem.Code != d.code || e.Problem.Class != d.class {
		t.Errorf("entry %+v with %+v", e, e.Problem)
	}
	after := b.crm.counts(t)
	if after.Applied != before.Applied || after.Faults == before.Faults {
		t.Errorf("the account counted %+v, then %+v", before, after)
	}
	b.crm.faults(t)
	b.logsOnce(t, own, http.StatusCreated, message)
}

// wasTried checks how often the newest message was tried while it was denied.
func (d denial) wasTried(t *testing.T, p *pipedrive) {
	t.Helper()
	creates := p.requests(t, http.MethodPost, "/api/v2/activities")
	creates = creates[:len(creates)-1] // the last one was not denied
	tries := 0
	for i := len(creates) - 1; i >= 0 && creates[i].Fault != ""; i-- {
		tries++
	}
	if tries != d.tries {
		t.Errorf("tried %d times, want %d", tries, d.tries)
	}
}

// TestPipedriveLimits meets the limits of the account itself.
func TestPipedriveLimits(t *testing.T) {
	t.Parallel()
	long := object{"limits": object{"callTimeout": "10s"}}
	// The account's window begins anew with the first request after its end, so it
	// is two seconds later at most.
	for name, flags := range map[string][]string{
		"burst":             {"-burst", "3"},
		"burst, RetryAfter": {"-burst", "3", "-retry-after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startPipedriveBench(t, long, flags...)
			// Types, user and person are three requests, the create is one too many.
			r := b.add("acme", "pipedrive", toPipedrive(nil, 1), "wait=1")
			if p := r.refused(t, 429, "rate_limited"); p.Class != "retryable" || p.Source != "crm" || r.retryAfter(t) != 2 {
				t.Errorf("Retry-After %d: %s", r.retryAfter(t), r.body)
			}
			if n := b.crm.counts(t); n.Attempted != 0 {
				t.Errorf("the account counts %+v", n)
			}
			eventually(t, "the window has passed", func() bool { return b.relay(nil, 1).status == http.StatusCreated })
			// A caller who has the time does not notice: the host waits for him.
			other := fields{"user": pipedriveUser("u-1", "other.pipedrive.com")}
			b.logsOnce(t, other, http.StatusCreated, 2)
			b.ends(t)
		})
	}
	t.Run("daily budget", func(t *testing.T) {
		t.Parallel()
		// Enough for the reads, but not for a create.
		b := startPipedriveBench(t, long, "-budget", "25")
		for range 2 {
			r := b.relay(nil, 1)
			refused := r.refused(t, 429, "rate_limited")
			if wait := r.retryAfter(t); wait < 60 || wait > 24*60*60 {
				t.Errorf("Retry-After %d", wait)
			}
			if refused.Class != "retryable" || !strings.Contains(refused.Detail, "daily budget") {
				t.Errorf("problem %s", r.body)
			}
			if e := b.entry(t, "acme", refused.MessageLogs[0]); e.State != "failed" || e.Problem.Code != "rate_limited" {
				t.Errorf("entry %+v", e)
			}
		}
		if n := b.crm.counts(t); n.Attempted != 0 {
			t.Errorf("the account counts %+v", n)
		}
		b.ends(t)
	})
}

// TestPipedriveIsTooSlowToSend has Pipedrive answer reads only when the window has
// closed. Nothing is sent any more, whatever the caller was told meanwhile.
func TestPipedriveIsTooSlowToSend(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, object{"reconcile": object{"applyWithin": "1500ms"}})
	faults := []object{
		{"route": "person", "do": "slow", "delay": "2200ms"},
		{"route": "me", "do": "hold"},
	}
	var calls []went
	for i, f := range faults {
		b.crm.faults(t, f)
		calls = append(calls, b.goRelay(nil, i+1))
		b.crm.struck(t, i)
	}
	var ids []string
	for _, call := range calls {
		p := call.wait(t).refused(t, 504, "outcome_unknown")
		if p.Class != "unknown" || p.Source != "host" || len(p.MessageLogs) != 1 {
			t.Fatalf("problem %+v", p)
		}
		ids = append(ids, p.MessageLogs[0])
	}
	for i, id := range ids {
		e := b.becomes(t, "acme", id, "failed")
		if e.Problem.Code != "crm_unavailable" || e.Problem.Class != "retryable" || e.Attempts != 1 {
			t.Errorf("entry %+v with %+v", e, e.Problem)
		}
		if answered := faults[i]["do"] == "slow"; answered && e.Reconcile != nil {
			t.Errorf("entry %+v was searched for, although its call was answered", e)
		}
	}
	if n := b.crm.counts(t); n.Attempted != 0 {
		t.Errorf("the account counts %+v", n)
	}
	for i := range faults {
		b.logsOnce(t, nil, http.StatusCreated, i+1)
	}
	b.ends(t)
}
