package e2e

import (
	"cmp"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// doubt is an end of a create after which only Pipedrive knows whether there is an
// activity.
type doubt struct {
	fault object
	// wait is the caller's patience, as a preference; none is the adapter's own.
	wait []string
	// status is the first answer's: 201 when a search at once tells, else 504.
	status int
	// source is whose doubt it is, by the first answer.
	source string
	// state is how the entry ends.
	state string
}

// after is a fault once the activity is stored.
func after(f object) object { return merged(f, object{"when": "after"}) }

// before is a fault instead of storing the activity.
func before(f object) object { return merged(f, object{"when": "before"}) }

// written is a doubt about an activity that is there, and found at once.
func written(f object) doubt { return doubt{after(f), nil, 201, "", "logged"} }

// unwritten is a doubt about an activity that is not there.
func unwritten(f object) doubt { return doubt{before(f), nil, 504, "crm", "failed"} }

// late is a doubt about an activity that is stored after a while.
func late(f object) doubt {
	return doubt{merged(f, object{"do": "late", "delay": "700ms"}), nil, 504, "crm", "logged"}
}

// impatient is a doubt of a caller who does not wait for the answer, which comes.
func impatient(f object) doubt {
	return doubt{merged(f, object{"do": "slow", "delay": "1300ms"}), []string{"wait=1"}, 504, "host", "logged"}
}

// doubts strike a create each.
var doubts = map[string]doubt{
	"html, written":           written(junk("html")),
	"truncated, written":      written(junk("truncated")),
	"empty, written":          written(junk("empty")),
	"no data, written":        written(junk("noData")),
	"not success, written":    written(junk("notSuccess")),
	"no id, written":          written(junk("noId")),
	"text for id, written":    written(junk("textId")),
	"500, written":            written(answers(500)),
	"502, written":            written(answers(502)),
	"504, written":            written(answers(504)),
	"reset, written":          written(object{"do": "reset"}),
	"html, not written":       unwritten(junk("html")),
	"not success, unwritten":  unwritten(junk("notSuccess")),
	"no id, not written":      unwritten(junk("noId")),
	"500, not written":        unwritten(answers(500)),
	"502, not written":        unwritten(answers(502)),
	"408, not written":        unwritten(answers(408)),
	"reset, not written":      unwritten(object{"do": "reset"}),
	"reset, written later":    late(nil),
	"500, written later":      late(answers(500)),
	"504, written later":      late(answers(504)),
	"answered after the call": impatient(after(nil)),
	"written after the call":  impatient(before(nil)),
}

// TestPipedriveDoubts ends creates in the middle. Whatever the caller is told
// first, the entry settles to the truth, and sending the message again is safe.
func TestPipedriveDoubts(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	b.settlesAll(t, doubts)
}

// TestPipedriveKeepsTheConnection has Pipedrive not answer at all, nor let go.
func TestPipedriveKeepsTheConnection(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	b.settlesAll(t, map[string]doubt{
		"not written":            {object{"do": "hold"}, nil, 504, "host", "failed"},
		"written":                {after(object{"do": "hold"}), nil, 504, "host", "logged"},
		"written, impatient":     {after(object{"do": "hold"}), []string{"wait=1"}, 504, "host", "logged"},
		"written after the call": {object{"do": "late", "delay": "1300ms", "held": true}, []string{"wait=1"}, 504, "host", "logged"},
		"written after callTimeout": {
			object{"do": "late", "delay": "2200ms", "held": true}, nil, 504, "host", "logged",
		},
	})
}

// settlesAll has every doubt strike a message and sees each settle.
func (b *pipedriveBench) settlesAll(t *testing.T, all map[string]doubt) {
	t.Helper()
	calls, messages := map[string]went{}, map[string]int{}
	failed := 0
	for name, d := range all {
		messages[name] = len(messages) + 1
		struck := b.crm.counts(t).Faults
		b.crm.faults(t, onCreate(d.fault))
		calls[name] = b.goRelay(nil, messages[name], d.wait...)
		b.crm.struck(t, struck) // the next one is not to be struck by this fault
		if d.state == "failed" {
			failed++
		}
	}
	t.Run("all", func(t *testing.T) {
		for name, d := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d.settles(t, b, messages[name], calls[name].wait(t))
			})
		}
	})
	if all := b.crashes(t, "pipedrive"); len(all) != 0 {
		t.Errorf("an account that does not answer has cost the adapter its process: %+v", all)
	}
	if n := b.crm.counts(t); n.Activities != len(all) || n.Attempted != len(all)+failed {
		t.Errorf("of %d messages, %d of them to be sent twice, the account counts %+v", len(all), failed, n)
	}
	b.ends(t)
}

// settles follows a message from its first answer to its end.
func (d doubt) settles(t *testing.T, b *pipedriveBench, message int, first reply) {
	t.Helper()
	var id string
	if d.status == http.StatusCreated {
		id = first.logged(t, d.status).MessageLogID
	} else {
		p := first.refused(t, d.status, "outcome_unknown")
		if p.Class != "unknown" || p.Source != d.source || first.retryAfter(t) >= 0 || len(p.Messages) != 1 ||
			p.Messages[0].ID != strconv.Itoa(message) || len(p.MessageLogs) != 1 {
			t.Fatalf("Retry-After %d, problem %s", first.retryAfter(t), first.body)
		}
		id = p.MessageLogs[0]
	}
	e := b.becomes(t, "acme", id, d.state)
	if e.Attempts != 1 || len(e.StrayIDs) > 0 {
		t.Errorf("entry %+v", e)
	}
	searched := e.Reconcile != nil
	if late := d.fault["do"] == "slow"; searched == late {
		t.Errorf("searched for: %t, although the answer came: %t", searched, late)
	}
	if d.state == "failed" {
		if e.LogID != "" || e.Problem == nil || e.Problem.Code != "crm_unavailable" || e.Problem.Class != "retryable" || e.Reconcile.Verdict != "notFound" {
			t.Errorf("entry %+v with %+v", e, e.Problem)
		}
		if all := b.crm.of(t, message); len(all) != 0 {
			t.Errorf("the entry is failed, and there are the records %+v", all)
		}
		b.logsOnce(t, nil, http.StatusCreated, message)
		return
	}
	if out := b.logsOnce(t, nil, http.StatusOK, message); out.MessageLogID != id || out.LogID != e.LogID || e.Problem != nil {
		t.Errorf("entry %+v, and then the answer %+v", e, out)
	}
}

// TestPipedriveAnswersAfterTheWindow has the answer arrive when the entry is unknown
// already, and no search can see the activity yet: the answer settles it.
func TestPipedriveAnswersAfterTheWindow(t *testing.T) {
	t.Parallel()
	// The window ends within 3 s, slack and all; the host listens for 5 s.
	b := startPipedriveBench(t, object{"limits": object{"callTimeout": "1s"}, "reconcile": object{"applyWithin": "4s"}})
	b.crm.switches(t, object{"listLag": "450ms", "faults": []object{onCreate(object{"do": "slow", "delay": "4s"})}})
	id := b.relay(nil, 1).refused(t, 504, "outcome_unknown").MessageLogs[0]
	b.becomes(t, "acme", id, "unknown")
	if e := b.becomes(t, "acme", id, "logged"); e.Reconcile == nil || e.Reconcile.Verdict != "notFound" || e.Attempts != 1 {
		t.Errorf("entry %+v with %+v", e, e.Reconcile)
	}
	if out := b.logsOnce(t, nil, http.StatusOK, 1); out.MessageLogID != id {
		t.Errorf("answer %+v, entry %s", out, id)
	}
	if n := b.crm.counts(t); n.Attempted != 1 {
		t.Errorf("the account counts %+v", n)
	}
	b.ends(t)
}

// TestPipedriveIsCalledAgainAndAgain has callers who do not wait, but send their
// message again all the time, while its outcome is unknown. They are told to wait,
// or what became of it, and there is one record in the end.
func TestPipedriveIsCalledAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil, "-burst", "1000000", "-budget", "100000000")
	type sending struct {
		message int
		first   went
		again   *pestering
	}
	all := map[string]sending{}
	const lost = "not written, and sent again"
	for name, f := range map[string]object{
		"written, seen later":       after(object{"do": "reset"}),
		"written later":             {"do": "late", "delay": "700ms"},
		"502, written later":        {"do": "late", "delay": "700ms", "status": 502},
		"kept, written later":       {"do": "late", "delay": "1300ms", "held": true},
		"html, written, seen later": after(junk("html")),
		lost:                        before(answers(500)),
	} {
		struck := b.crm.counts(t).Faults
		// The lag is shorter than the one that the host knows of.
		b.crm.switches(t, object{"listLag": "400ms", "faults": []object{onCreate(f)}})
		s := sending{message: len(all) + 1}
		s.first = b.goRelay(nil, s.message, "wait=1")
		b.crm.struck(t, struck)
		s.again = b.pester(s.message)
		all[name] = s
	}
	for name, s := range all {
		p := s.first.wait(t).refused(t, 504, "outcome_unknown")
		told := s.again.ends(t)
		e := b.entry(t, "acme", p.MessageLogs[0])
		if want := name == lost; (told.created == 1) != want || (e.State == "failed") != want {
			t.Errorf("%s: %d answers said 201, and the first entry is %+v", name, told.created, e)
		}
		if told.logged != callers || told.logID != b.crm.one(t, s.message).logID() {
			t.Errorf("%s: %+v, while the record is %+v", name, told, b.crm.one(t, s.message))
		}
		if name == lost && told.refused == 0 {
			t.Errorf("%s: nobody was told to wait", name)
		}
	}
	if n := b.crm.counts(t); n.Activities != len(all) || n.Attempted != len(all)+1 {
		t.Errorf("of %d messages, one of them to be sent twice, the account counts %+v", len(all), n)
	}
	b.ends(t)
}

// callers is how many callers send a message again and again.
const callers = 2

// pestering is a message that callers send again and again, each until it is told
// that the message is logged.
type pestering struct {
	running sync.WaitGroup
	replies chan reply
}

// told is what they were told.
type told struct {
	created, logged, refused int
	logID                    string
}

// pester begins to send a message again and again.
func (b *pipedriveBench) pester(message int) *pestering {
	p := &pestering{replies: make(chan reply, 10_000)} // more than the time allows
	for range callers {
		p.running.Go(func() {
			pause := time.NewTicker(50 * time.Millisecond)
			defer pause.Stop()
			for end := time.Now().Add(waitLimit); time.Now().Before(end); <-pause.C {
				r := b.relay(nil, message)
				p.replies <- r
				if r.err != nil || r.status/100 == 2 {
					return
				}
			}
		})
	}
	return p
}

// ends waits for the callers and checks each answer.
func (p *pestering) ends(t *testing.T) told {
	t.Helper()
	p.running.Wait()
	close(p.replies)
	var out told
	for r := range p.replies {
		switch r.status {
		case http.StatusCreated, http.StatusOK:
			out.logged++
			if r.status == http.StatusCreated {
				out.created++
			}
			id := r.logged(t, r.status).LogID
			if out.logID = cmp.Or(out.logID, id); out.logID != id {
				t.Errorf("told of the record %s, then of %s", out.logID, id)
			}
		case http.StatusConflict:
			out.refused++
			var p problem
			r.into(t, http.StatusConflict, &p)
			if wait := r.retryAfter(t); p.Code != "outcome_unsettled" && p.Code != "in_progress" || wait < 1 || wait > 5 {
				t.Errorf("Retry-After %d, problem %s", wait, r.body)
			}
		default:
			t.Errorf("answered %d %v %s", r.status, r.err, r.body)
		}
	}
	return out
}
