package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func (d *demo) enable(ctx context.Context) error {
	for _, args := range [][]string{
		{"tenant", "create", tenantID, "--timezone", "America/Los_Angeles"},
		{"adapter", "enable", adapterName, "--tenant", tenantID},
	} {
		a, err := d.must(ctx, args...)
		if err != nil {
			return err
		}
		d.okf("%s", strings.TrimSpace(a.out))
	}
	return nil
}

// add logs the messages of a file and returns the log ID.
func (d *demo) add(ctx context.Context, file string) (logID string, notes string, err error) {
	a, err := d.must(ctx, addArgs(file)...)
	if err != nil {
		return "", "", err
	}
	logID = strings.TrimSpace(a.out)
	if logID == "" {
		return "", "", errors.New("no log ID was printed")
	}
	return logID, a.errors, nil
}

func addArgs(file string) []string {
	return []string{
		"message", "add", file, "--tenant", tenantID, "--adapter", adapterName,
		"--contact-id", contactID, "--contact-type", contactType, "--field", "channel=sms",
	}
}

func (d *demo) one(ctx context.Context) error {
	logID, notes, err := d.add(ctx, "message.json")
	if err != nil {
		return err
	}
	if !strings.Contains(notes, "logged now") {
		return fmt.Errorf("the message was not logged now: %s", notes)
	}
	d.first = logID
	d.okf("log ID %s", logID)
	return nil
}

func (d *demo) group(ctx context.Context) error {
	logID, _, err := d.add(ctx, "group.json")
	if err != nil {
		return err
	}
	if logID == d.first {
		return fmt.Errorf("the group got the log ID %s of the first message", logID)
	}
	d.okf("log ID %s", logID)
	return nil
}

func (d *demo) again(ctx context.Context) error {
	before, err := d.records(ctx)
	if err != nil {
		return err
	}
	logID, notes, err := d.add(ctx, "message.json")
	if err != nil {
		return err
	}
	after, err := d.records(ctx)
	if err != nil {
		return err
	}
	if logID != d.first || !strings.Contains(notes, "was logged before") || len(after) != len(before) {
		return fmt.Errorf("log ID %s, then %s; %d records, then %d: %s", d.first, logID, len(before), len(after), notes)
	}
	d.okf("log ID %s, answered as a duplicate; the CRM still has %d records", logID, len(after))
	return nil
}

func (d *demo) disable(ctx context.Context) error {
	if _, err := d.must(ctx, "adapter", "disable", adapterName, "--tenant", tenantID); err != nil {
		return err
	}
	before, err := d.creates(ctx)
	if err != nil {
		return err
	}
	a, err := d.do(ctx, addArgs("later.json")...)
	if err != nil {
		return err
	}
	const refused = 3
	after, err := d.creates(ctx)
	if err != nil {
		return err
	}
	if a.code != refused || !strings.Contains(a.errors, "adapter_disabled") || before != after {
		return fmt.Errorf("exit code %d, %d requests reached the CRM: %s", a.code, after-before, a.errors)
	}
	d.okf("refused with exit code %d: %s", a.code, strings.SplitN(a.errors, "\n", 2)[0])
	_, err = d.must(ctx, "adapter", "enable", adapterName, "--tenant", tenantID)
	return err
}

// adapterProcess is a running process of the adapter.
type adapterProcess struct {
	Pid   int    `json:"pid"`
	State string `json:"state"`
}

// process returns the adapter's process once it is ready.
func (d *demo) process(ctx context.Context) (adapterProcess, error) {
	for {
		var shown struct{ Processes []adapterProcess }
		if err := d.decode(ctx, &shown, "adapter", "show", adapterName); err != nil {
			return adapterProcess{}, err
		}
		for _, p := range shown.Processes {
			if p.State == "ready" && p.Pid > 0 {
				return p, nil
			}
		}
		select {
		case <-ctx.Done():
			return adapterProcess{}, fmt.Errorf("wait for the adapter's process: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demo) kill(ctx context.Context) error {
	before, err := d.process(ctx)
	if err != nil {
		return err
	}
	d.sayf("   $ kill -9 %d\n", before.Pid)
	if err := d.killed(ctx, before.Pid); err != nil {
		return err
	}
	began := time.Now()
	logID, err := d.through(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := d.process(ctx)
	if err != nil {
		return err
	}
	if after.Pid == before.Pid {
		return fmt.Errorf("the process is still %d", after.Pid)
	}
	d.okf("log ID %s after %d ms, by process %d", logID, took.Milliseconds(), after.Pid)
	return d.crash(ctx)
}

// killed kills a process and waits until the host has reported its death: until
// then it may still be given a call, whose outcome nobody would know at once.
func (d *demo) killed(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the adapter: %w", err)
	}
	for {
		reports, err := d.crashes(ctx)
		if err != nil || len(reports) > 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kill the adapter: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// crashReport is what the demonstration looks at of a crash report.
type crashReport struct{ Cause, Signal, Decision string }

func (d *demo) crashes(ctx context.Context) ([]crashReport, error) {
	var all struct{ Items []crashReport }
	err := d.decode(ctx, &all, "adapter", "crashes", adapterName)
	return all.Items, err
}

// through logs the last message. A call that the crash has caught all the same is
// asked again, as a caller does, until the host has found out what became of it.
func (d *demo) through(ctx context.Context) (logID string, err error) {
	const later, unknown = 4, 5
	a, err := d.do(ctx, addArgs("later.json")...)
	for err == nil && (a.code == later || a.code == unknown) {
		d.sayf("     caught by the crash (%s); asking again\n", strings.SplitN(a.errors, "\n", 2)[0])
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the outcome: %w", ctx.Err())
		case <-time.After(time.Second):
		}
		a, err = d.quietly(ctx, addArgs("later.json")...)
	}
	if err == nil && a.code != 0 {
		err = fmt.Errorf("it ended with exit code %d: %s", a.code, a.errors)
	}
	return strings.TrimSpace(a.out), err
}

// crash checks that the crash was reported.
func (d *demo) crash(ctx context.Context) error {
	reports, err := d.crashes(ctx)
	if err != nil {
		return err
	}
	if len(reports) != 1 || reports[0].Signal != "SIGKILL" {
		return fmt.Errorf("the crash reports are %+v, want one by SIGKILL", reports)
	}
	c := reports[0]
	d.okf("one crash report: %s, %s; %s", c.Cause, c.Signal, c.Decision)
	return nil
}

// record is an activity of the CRM.
type record struct {
	ID          int64    `json:"id"`
	ContactID   string   `json:"contactId"`
	ContactType string   `json:"contactType"`
	MessageIDs  []string `json:"messageIds"`
	ExternalID  string   `json:"externalId"`
}

// records returns every activity of the CRM.
func (d *demo) records(ctx context.Context) ([]record, error) {
	var all struct{ Items []record }
	err := d.askCRM(ctx, http.MethodGet, "/_control/activities", nil, &all)
	return all.Items, err
}

// creates returns how many creates have reached the CRM.
func (d *demo) creates(ctx context.Context) (int64, error) {
	var counts struct{ Creates int64 }
	err := d.askCRM(ctx, http.MethodGet, "/_control/counts", nil, &counts)
	return counts.Creates, err
}

// entry is an entry of the ledger.
type entry struct {
	ID      string                    `json:"id"`
	State   string                    `json:"state"`
	LogID   string                    `json:"logId"`
	Contact struct{ ID, Type string } `json:"contact"`
	Members []struct{ ID string }     `json:"messages"`
}

func (d *demo) compare(ctx context.Context) error {
	const want = 3 // one message, one group, one after the crash
	var ledger struct{ Items []entry }
	if err := d.decode(ctx, &ledger, "message", "list", "--tenant", tenantID, "--adapter", adapterName); err != nil {
		return err
	}
	records, err := d.records(ctx)
	if err != nil {
		return err
	}
	if len(ledger.Items) != want || len(records) != want {
		return fmt.Errorf("the ledger has %d entries and the CRM %d records, want %d of each", len(ledger.Items), len(records), want)
	}
	byID, keys := map[string]record{}, map[string]bool{}
	for _, r := range records {
		byID[strconv.FormatInt(r.ID, 10)] = r
		keys[r.ExternalID] = true
	}
	if len(byID) != want || len(keys) != want || keys[""] {
		return fmt.Errorf("the records do not have %d different ids and idempotency keys", want)
	}
	d.sayf("   %-28s %-8s %-8s %s\n", "LEDGER ENTRY", "LOG ID", "CRM", "MESSAGES")
	for _, e := range ledger.Items {
		r, ok := byID[e.LogID]
		if err := e.differs(r, ok); err != nil {
			return fmt.Errorf("ledger entry %s: %w", e.ID, err)
		}
		delete(byID, e.LogID) // each record belongs to one entry
		d.sayf("   %-28s %-8s %-8s %s\n", e.ID, e.LogID, "same", strings.Join(r.MessageIDs, " "))
	}
	d.okf("%d entries, %d records, one to one: nothing lost, nothing doubled", len(ledger.Items), len(records))
	return nil
}

// differs says in what the entry and its record do not agree.
func (e entry) differs(r record, found bool) error {
	ids := make([]string, len(e.Members))
	for i, m := range e.Members {
		ids[i] = m.ID
	}
	switch {
	case e.State != "logged":
		return fmt.Errorf("it is %s", e.State)
	case !found:
		return fmt.Errorf("the CRM has no record %s that is not another entry's", e.LogID)
	case r.ContactID != e.Contact.ID || r.ContactType != e.Contact.Type:
		return fmt.Errorf("it is of contact %s %s, its record of %s %s", e.Contact.Type, e.Contact.ID, r.ContactType, r.ContactID)
	case !slices.Equal(r.MessageIDs, ids):
		return fmt.Errorf("it has the messages %v, its record %v", ids, r.MessageIDs)
	}
	return nil
}
