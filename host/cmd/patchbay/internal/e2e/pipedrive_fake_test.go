//nolint:tagliatelle // the names on the wire are Pipedrive's
package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pipedrive is an account of Pipedrive: the strict fake, in a process of its own.
type pipedrive struct {
	url    string
	client *http.Client
}

// startPipedrive starts an account that takes markedToken.
func startPipedrive(t testing.TB, flags ...string) *pipedrive {
	t.Helper()
	program := binaryOf(t, "pipedrive-fake", "./plugins/pipedrive/internal/pipedrivetest/cmd/pipedrive-fake")
	cmd := exec.Command(program, append(flags, "-until-eof")...)
	cmd.Env = []string{"PIPEDRIVE_FAKE_TOKENS=" + markedToken}
	var complaints logBook
	cmd.Stderr = &complaints
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		must(t, stdin.Close()) // which ends it
		kill := time.AfterFunc(waitLimit, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the fake of Pipedrive ended with: %v\n%s", err, complaints.String())
		}
	})
	var said struct{ URL string }
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &said) != nil || said.URL == "" {
		t.Fatalf("the fake of Pipedrive did not start: %v, %q\n%s", err, line, complaints.String())
	}
	return &pipedrive{url: said.URL, client: &http.Client{Transport: transport, Timeout: waitLimit}}
}

// control asks the judge.
func (p *pipedrive) control(t testing.TB, method, path string, body, into any) {
	t.Helper()
	text, err := json.Marshal(body)
	must(t, err)
	req, err := http.NewRequest(method, p.url+"/_control/"+path, bytes.NewReader(text))
	must(t, err)
	resp, err := p.client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%s: %v: %s", path, err, answer)
	}
}

// switches replaces all switches.
func (p *pipedrive) switches(t testing.TB, to object) {
	t.Helper()
	p.control(t, http.MethodPut, "switches", to, nil)
}

// faults replaces all switches by these faults; none makes the account work.
func (p *pipedrive) faults(t testing.TB, faults ...object) {
	t.Helper()
	p.switches(t, object{"faults": faults})
}

// onCreate is the fault of the next create.
func onCreate(f object) object { return merged(f, object{"route": "activities", "method": "POST"}) }

// onSearch is the fault of the next list of activities.
func onSearch(f object) object { return merged(f, object{"route": "activities", "method": "GET"}) }

// always makes the fault strike every time.
func always(f object) object { return merged(f, object{"next": 1_000_000}) }

// merged returns the object with more members; either may be nil.
func merged(o, more object) object {
	out := object{}
	maps.Copy(out, o)
	maps.Copy(out, more)
	return out
}

// answers is the fault that answers with a status.
func answers(status int) object { return object{"do": "status", "status": status} }

// junk is the fault that answers 200 with a useless body.
func junk(kind string) object { return object{"do": "garbage", "junk": kind} }

// seed makes other activities of a person, a second apart from an hour ago on.
func (p *pipedrive) seed(t testing.TB, person, count int, note string) {
	t.Helper()
	p.control(t, http.MethodPost, "seed", object{
		"personId": person, "count": count, "note": note,
		"from": time.Now().Add(-time.Hour).UTC().Truncate(time.Second), "step": "1s",
	}, nil)
}

// accountCounts are what the judge counts.
type accountCounts struct{ Attempted, Applied, Pending, Activities, Markers, Doubled, Faults int }

func (p *pipedrive) counts(t testing.TB) accountCounts {
	t.Helper()
	var c accountCounts
	p.control(t, http.MethodGet, "counts", nil, &c)
	return c
}

// struck waits until more than n requests have been struck by a fault.
func (p *pipedrive) struck(t testing.TB, n int) {
	t.Helper()
	eventually(t, "a request has been struck by the fault", func() bool { return p.counts(t).Faults > n })
}

// activity is a record of the account.
type activity struct {
	ID                  int64
	Subject, Type, Note string
	OwnerID             int64  `json:"owner_id"`
	PersonID            int64  `json:"person_id"`
	OrgID               int64  `json:"org_id"`
	DealID              int64  `json:"deal_id"`
	LeadID              string `json:"lead_id"`
	DueDate             string `json:"due_date"`
	DueTime             string `json:"due_time"`
	Done                bool
	Markers             []string
}

func (a activity) logID() string { return strconv.FormatInt(a.ID, 10) }

// activities returns the records that the account was sent, oldest first: those
// that hold a key.
func (p *pipedrive) activities(t testing.TB) []activity {
	t.Helper()
	var page struct{ Items []activity }
	p.control(t, http.MethodGet, "activities?limit=10000", nil, &page)
	return slices.DeleteFunc(page.Items, func(a activity) bool { return len(a.Markers) == 0 })
}

// of returns the records that hold the message.
func (p *pipedrive) of(t testing.TB, message int) []activity {
	t.Helper()
	return slices.DeleteFunc(p.activities(t), func(a activity) bool { return !strings.Contains(a.Note, textOf(message)) })
}

// one returns the one record that holds the message.
func (p *pipedrive) one(t testing.TB, message int) activity {
	t.Helper()
	all := p.of(t, message)
	if len(all) != 1 || len(all[0].Markers) != 1 {
		t.Fatalf("message %d stands in %d records, want one with one key: %+v", message, len(all), all)
	}
	return all[0]
}

// accountRequest is a request that the account got.
type accountRequest struct {
	At                         time.Time
	Method, Path, Query, Fault string
	Status                     int
}

// requests returns those with that method and path, oldest first.
func (p *pipedrive) requests(t testing.TB, method, path string) []accountRequest {
	t.Helper()
	var page struct {
		Items   []accountRequest
		Dropped int
	}
	p.control(t, http.MethodGet, "requests", nil, &page)
	if page.Dropped > 0 {
		t.Fatalf("the account has forgotten %d requests", page.Dropped)
	}
	// They are noted when they end, and a connection that is reset ends late.
	slices.SortFunc(page.Items, func(a, b accountRequest) int { return a.At.Compare(b.At) })
	return slices.DeleteFunc(page.Items, func(r accountRequest) bool { return r.Method != method || r.Path != path })
}
