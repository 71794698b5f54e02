package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// misbehaviour is what faulty does, and what comes of it.
type misbehaviour struct {
	status      int
	code, class string // empty when the message is logged
	// dies is whether the process dies of it, with that cause in its crash report.
	dies  bool
	cause string
}

// misbehaviours are the scripts of faulty.
var misbehaviours = map[string]misbehaviour{
	"ok":                 {status: 201},
	"slow:200ms":         {status: 201},
	"panic":              {status: 502, code: "adapter_fault", class: "unknown"},
	"exit:3":             {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "exit"},
	"exit:0":             {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "exit"},
	"kill":               {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "signal"},
	"crash-after-write":  {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "panic"},
	"fork-and-die":       {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "signal"},
	"hang":               {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "hang"},
	"spin":               {status: 504, code: "outcome_unknown", class: "unknown", dies: true, cause: "hang"},
	"leak:48":            {status: 201},
	"stdout:8":           {status: 201},
	"stderr-bomb":        {status: 201},
	"empty-id":           {status: 502, code: "adapter_fault", class: "unknown"},
	"huge-id":            {status: 502, code: "adapter_fault", class: "unknown"},
	"error:crm_rejected": {status: 424, code: "crm_rejected", class: "permanent"},
	"error:adapter_fault:retryable": {
		status: 502, code: "adapter_fault", class: "retryable",
	},
	"no such script": {status: 424, code: "crm_rejected", class: "permanent"},
}

// TestIsolation has one adapter misbehave in every way it knows, while another
// serves the same tenant. The other never notices, and the sick one serves again
// after each time.
func TestIsolation(t *testing.T) {
	t.Parallel()
	c := startCRM(t, crmToken)
	h := startHost(t, setup{crm: c, adapters: map[string]object{
		"examplecrm": {"limits": object{"callTimeout": "20s"}},
		"faulty": {
			"limits":    object{"callTimeout": "3s", "concurrency": 4},
			"reconcile": object{"applyWithin": "200ms", "searchLag": "0s"},
		},
	}})
	h.tenant(t, "acme", "examplecrm", "faulty")
	healthy := h.pid(t, "examplecrm")
	others := besides(h)

	id := 0
	for _, script := range slices.Sorted(maps.Keys(misbehaviours)) {
		t.Run(script, func(t *testing.T) {
			id = h.misbehaves(t, script, misbehaviours[script], id)
		})
	}

	h.toldOfPanic(t, "faulty", "scripts.go")

	others.end(t)
	if now := h.pid(t, "examplecrm"); now != healthy || len(h.crashes(t, "examplecrm")) != 0 {
		t.Errorf("examplecrm: process %d became %d, crashes %+v", healthy, now, h.crashes(t, "examplecrm"))
	}
	if n := int(others.served.Load()); n < 20 || len(c.Activities()) != n {
		t.Errorf("%d calls were served beside, %d records", n, len(c.Activities()))
	}
	for _, r := range h.log.records(t, "forged") {
		if r["adapter"] != "faulty" {
			t.Errorf("an adapter forged the record %v", r)
		}
	}
	if n := len(h.log.String()); n > 8<<20 {
		t.Errorf("the log grew to %d bytes: an adapter floods it", n)
	}
}

// misbehaves has faulty play one script and checks what comes of it. It returns
// the newest message's id.
func (h *host) misbehaves(t *testing.T, text string, want misbehaviour, id int) int {
	t.Helper()
	serve := func() {
		eventually(t, "faulty serves", func() bool {
			id++
			return h.add("acme", "faulty", script(id, "ok")).status == http.StatusCreated
		})
	}
	serve() // an answered call resets what the supervisor counts
	pid, reports := h.pid(t, "faulty"), len(h.crashes(t, "faulty"))
	id++
	body, began := script(id, text), time.Now()
	r := h.add("acme", "faulty", body)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the answer took %s", took)
	}
	again := h.add("acme", "faulty", body)
	switch {
	case want.code == "":
		out := r.logged(t, want.status)
		if same := again.logged(t, 200); same.LogID != out.LogID {
			t.Errorf("logged as %s, then as %s", out.LogID, same.LogID)
		}
	case want.class == "unknown":
		p := r.refused(t, want.status, want.code)
		if p.Class != "unknown" || len(p.MessageLogs) != 1 {
			t.Fatalf("problem %s", r.body)
		}
		// faulty cannot search, so nobody knows, and nothing is sent again.
		if e := h.becomes(t, "acme", p.MessageLogs[0], "unknown"); e.Attempts != 1 {
			t.Errorf("entry %+v", e)
		}
		if r := h.add("acme", "faulty", body, "wait=1"); again.status != 409 || r.status != 409 {
			t.Errorf("sent again: %s, then %s", again.body, r.body)
		}
	default:
		if p := r.refused(t, want.status, want.code); p.Class != want.class {
			t.Errorf("class %s, want %s", p.Class, want.class)
		}
	}
	if want.dies {
		eventually(t, "the death is reported", func() bool { return len(h.crashes(t, "faulty")) == reports+1 })
		report := h.crashes(t, "faulty")[0]
		if report.Cause != want.cause || report.PID != pid || len(report.RequestIDs) != 1 {
			t.Errorf("crash report %+v, want the cause %s, process %d and one request", report, want.cause, pid)
		}
		eventually(t, "the process is gone", func() bool { return !alive(pid) })
	}
	serve()
	if now := h.pid(t, "faulty"); (now != pid) != want.dies {
		t.Errorf("process %d became %d", pid, now)
	}
	return id
}

// toldOfPanic checks that the host's log says which adapter panicked, with a
// stack that leads to the file.
func (h *host) toldOfPanic(t *testing.T, adapter, file string) {
	t.Helper()
	for _, r := range h.log.records(t, "adapter logged") {
		own, _ := r["record"].(object)
		if own["message"] != "adapter panicked" {
			continue
		}
		if stack, _ := own["stack"].(string); r["adapter"] != adapter || r["level"] != "ERROR" || r["request_id"] == nil || !strings.Contains(stack, file) {
			t.Errorf("%s is not told as the origin of the panic: %v", file, r)
		}
		return
	}
	t.Errorf("the log has no panic of %s", adapter)
}

// bystander makes one call after the other to examplecrm.
type bystander struct {
	h      *host
	served atomic.Int64
	stop   chan struct{}
	gone   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	failures []string
	slowest  time.Duration
}

func besides(h *host) *bystander {
	b := &bystander{h: h, stop: make(chan struct{})}
	b.gone.Go(func() {
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for id := 1; ; id++ {
			select {
			case <-b.stop:
				return
			case <-every.C:
			}
			b.call(id)
		}
	})
	return b
}

func (b *bystander) call(id int) {
	began := time.Now()
	r := b.h.add("acme", "examplecrm", one(id))
	took := time.Since(began)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slowest = max(b.slowest, took)
	if r.status != http.StatusCreated {
		b.failures = append(b.failures, strconv.Itoa(r.status)+" "+strings.TrimSpace(string(r.body)))
		return
	}
	b.served.Add(1)
}

// end stops the calls. Each must have been served, and soon.
func (b *bystander) end(t *testing.T) {
	t.Helper()
	close(b.stop)
	b.gone.Wait()
	if len(b.failures) > 0 {
		t.Errorf("%d calls beside failed, the first with %s", len(b.failures), b.failures[0])
	}
	if b.slowest > 5*time.Second {
		t.Errorf("a call beside took %s", b.slowest)
	}
}
