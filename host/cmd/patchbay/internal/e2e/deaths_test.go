package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
)

// TestKilledAdapter kills the adapter with SIGKILL while the CRM is at work on its
// call. The next call is served, and the entry settles by a search.
func TestKilledAdapter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		switches server.Switches
		status   int // of the call that was cut off
	}{
		"before the write": {server.Switches{ApplyDelay: 1500 * time.Millisecond}, 504},
		"after the write":  {server.Switches{AnswerDelay: time.Minute}, 201},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm, h := lab(t, nil)
			pid := h.pid(t, "examplecrm")
			crm.set(c.switches)
			call := h.goAdd("acme", "examplecrm", one(1))
			crm.arrived(1)
			eventually(t, "the record is written, if it is to be", func() bool {
				return c.status == 504 || len(crm.Activities()) == 1
			})
			must(t, syscall.Kill(pid, syscall.SIGKILL))
			crm.set(server.Switches{})
			// Until the host has seen the death, a call may still be sent to the dead.
			eventually(t, "the death is reported", func() bool { return len(h.crashes(t, "examplecrm")) == 1 })
			h.add("acme", "examplecrm", one(2)).logged(t, 201)
			if now := h.pid(t, "examplecrm"); now == pid {
				t.Error("the adapter was not replaced")
			}
			var id string
			if r := call.wait(t); c.status == http.StatusCreated {
				id = r.logged(t, 201).MessageLogID
			} else {
				id = r.refused(t, 504, "outcome_unknown").MessageLogs[0]
			}
			e := h.becomes(t, "acme", id, "logged")
			if again := h.add("acme", "examplecrm", one(1)).logged(t, 200); again.LogID != e.LogID {
				t.Errorf("logged as %s, then as %s", e.LogID, again.LogID)
			}
			if n := crm.Counts(); n.Messages != 2 || n.DoubledMessages != 0 || n.Creates != 2 {
				t.Errorf("the CRM counts %+v", n)
			}
			crm.agree(t, h, "acme")
		})
	}
}

// pause stops the process. The signal is acted on by one of its threads, and until
// that one runs the others go on: on a busy machine for milliseconds.
func pause(t *testing.T, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	eventually(t, "the process is stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		must(t, err)
		for _, name := range threads {
			stat, err := os.ReadFile(name)
			if err != nil {
				return false // a thread ended meanwhile
			}
			// The state follows the name, which may hold anything but ends in ")".
			if _, state, ok := strings.Cut(string(stat), ") "); !ok || state[0] != 'T' {
				return false
			}
		}
		return len(threads) > 0
	})
}

// stopped is the setup of an adapter that is paused beyond its send window, which
// is short, while the host still listens for its answer.
func stopped() object {
	return object{
		"limits":    object{"callTimeout": "1s"},
		"reconcile": object{"applyWithin": "3s", "searchLag": "300ms"},
	}
}

// TestPausedAdapter stops the adapter before it sees its call and lets it go on
// after the send window: it sends nothing.
func TestPausedAdapter(t *testing.T) {
	t.Parallel()
	crm, h := lab(t, stopped())
	pid := h.pid(t, "examplecrm")
	pause(t, pid)
	id := h.add("acme", "examplecrm", one(1)).refused(t, 504, "outcome_unknown").MessageLogs[0]
	pass(t, 300*time.Millisecond) // the window was as long as the caller's wait, and began a little later
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	eventually(t, "the adapter has answered its calls", func() bool {
		all := h.processes(t, "examplecrm")
		return len(all) == 1 && all[0].InFlight == 0
	})
	if now := h.pid(t, "examplecrm"); now != pid {
		t.Errorf("process %d was replaced by %d: it had no time to answer", pid, now)
	}
	h.becomes(t, "acme", id, "failed")
	if n := crm.Counts().Creates; n != 0 {
		t.Errorf("%d creates left after the window", n)
	}
	h.add("acme", "examplecrm", one(1)).logged(t, 201)
	crm.want(t, "1")
	crm.agree(t, h, "acme")
}

// TestPausedAfterTheWrite stops the adapter while the CRM holds back its answer.
// The answer comes late, and is a true one.
func TestPausedAfterTheWrite(t *testing.T) {
	t.Parallel()
	crm, h := lab(t, stopped())
	pid := h.pid(t, "examplecrm")
	crm.set(server.Switches{AnswerDelay: 300 * time.Millisecond})
	call := h.goAdd("acme", "examplecrm", one(1))
	crm.arrived(1)
	pause(t, pid)
	id := call.wait(t).refused(t, 504, "outcome_unknown").MessageLogs[0]
	pass(t, 300*time.Millisecond)
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	if e := h.becomes(t, "acme", id, "logged"); e.LogID != "1" || len(e.StrayIDs) != 0 {
		t.Errorf("entry %+v", e)
	}
	crm.want(t, "1")
	crm.agree(t, h, "acme")
}

// TestStoppedForGood stops the adapter for ever: it is killed, its call settles,
// and the next one is served by its successor.
func TestStoppedForGood(t *testing.T) {
	t.Parallel()
	crm, h := lab(t, object{"limits": object{"callTimeout": "1s"}})
	pid := h.pid(t, "examplecrm")
	pause(t, pid)
	id := h.add("acme", "examplecrm", one(1)).refused(t, 504, "outcome_unknown").MessageLogs[0]
	eventually(t, "the hung process is gone", func() bool { return !alive(pid) })
	h.add("acme", "examplecrm", one(2)).logged(t, 201)
	h.becomes(t, "acme", id, "failed")
	h.add("acme", "examplecrm", one(1)).logged(t, 201)
	crm.want(t, "2", "1")
	crm.agree(t, h, "acme")
}

// TestRestart stops a host that has a call in flight, and starts another on its
// data: the entry is found, whether the CRM wrote before or after the stop.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, switches := range map[string]server.Switches{
		"written before": {AnswerDelay: time.Minute},
		"written after":  {ApplyDelay: 1500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := startCRM(t, crmToken)
			s := setup{crm: crm, drain: "200ms"}
			h := startHost(t, s)
			h.tenant(t, "acme", "examplecrm")
			h.add("acme", "examplecrm", one(1)).logged(t, 201)
			crm.set(switches)
			call := h.goAdd("acme", "examplecrm", one(2))
			crm.arrived(2)
			h.cut()
			call.wait(t) // it may have been told that the outcome is unknown, or nothing
			crm.set(server.Switches{})

			s.data, s.drain = h.data, ""
			h = startHost(t, s)
			entries := h.entries(t, "acme", "messageId=2")
			if len(entries) != 1 {
				t.Fatalf("entries %+v", entries)
			}
			e := h.becomes(t, "acme", entries[0].ID, "logged")
			if again := h.add("acme", "examplecrm", group(1, 2)).logged(t, 200); again.LogID != e.LogID {
				t.Errorf("logged as %s, then as %s", e.LogID, again.LogID)
			}
			crm.want(t, "1", "2")
			crm.agree(t, h, "acme")
		})
	}
}

// TestKilledHost kills the host itself, the built command, with SIGKILL while calls
// are in flight. Its adapter dies with it, and its successor finds what was
// written and lets the rest be sent again.
func TestKilledHost(t *testing.T) {
	t.Parallel()
	const messages = 24
	crm := startCRM(t, crmToken)
	s := setup{crm: crm}
	h := startCommand(t, s)
	h.tenant(t, "acme", "examplecrm")
	h.add("acme", "examplecrm", one(1)).logged(t, 201)
	pid := h.pid(t, "examplecrm")

	// Some have been answered, some written, and some are still to be written when
	// the host dies.
	crm.set(server.Switches{ApplyDelay: 300 * time.Millisecond, Faults: []server.Fault{
		{Do: server.Late, Delay: 600 * time.Millisecond, Next: messages / 3},
	}})
	var calls sync.WaitGroup
	for id := range messages {
		calls.Go(func() { h.add("acme", "examplecrm", one(id+2)) })
	}
	crm.arrived(messages/2 + 1)
	must(t, syscall.Kill(h.pidOfCommand, syscall.SIGKILL))
	within(t, time.Second, "the adapter has died with its host", func() bool { return !alive(pid) })
	h.cut()
	calls.Wait()

	s.data = h.data
	h = startCommand(t, s)
	if left := h.entries(t, "acme", "state=in_flight"); len(left) != 0 {
		t.Errorf("a host that was just started has %d entries in flight", len(left))
	}
	crm.set(server.Switches{})
	sent := make(chan int)
	replies := make([]reply, messages)
	for range 8 {
		calls.Go(func() {
			for id := range sent {
				replies[id] = h.addUntil(one(id + 2))
			}
		})
	}
	for id := range messages {
		sent <- id
	}
	close(sent)
	calls.Wait()
	for id, r := range replies {
		if r.status != http.StatusOK && r.status != http.StatusCreated {
			t.Errorf("message %d: status %d, %v: %s", id+2, r.status, r.err, r.body)
		}
	}
	if n := crm.Counts(); n.Messages != messages+1 || n.DoubledMessages != 0 {
		t.Errorf("%d messages in the CRM, %d of them doubled; want %d and none", n.Messages, n.DoubledMessages, messages+1)
	}
	crm.agree(t, h, "acme")
}

// addUntil sends a message again for as long as its outcome is not settled, as a
// caller does that wants it logged.
func (h *host) addUntil(body string) reply {
	r := h.add("acme", "examplecrm", body)
	for end := time.Now().Add(waitLimit); r.status >= 409 && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond) // what a caller does: it tries again later
		r = h.add("acme", "examplecrm", body)
	}
	return r
}

// alive reports whether the process runs. One that waits to be reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		return false
	}
	return syscall.Kill(pid, 0) == nil // a system without /proc
}

// startCommand starts a host as a process of its own.
func startCommand(t *testing.T, s setup) *host {
	t.Helper()
	file, data := s.configure(t)
	cmd := exec.CommandContext(context.Background(), command(t), "serve", "--config", file)
	log := &logBook{}
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	h := &host{data: data, log: log, pidOfCommand: cmd.Process.Pid, stop: sync.OnceValue(func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that was killed does not hear it
		return cmd.Wait()
	})}
	t.Cleanup(func() { h.end(t) })
	address := ""
	eventually(t, "the host serves", func() bool {
		for _, r := range log.records(t, "host started") {
			address, _ = r["address"].(string)
		}
		return address != ""
	})
	h.connect(t, "http://"+address)
	return h
}
