package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
)

// What the fake of Pipedrive knows from the start, and the account that the user
// is said to have. The host is told to find that account at the fake.
const (
	pipedriveName = "pipedrive"
	pipedriveHost = "acme.pipedrive.com"
	pipedriveDeal = 500
)

// startPipedrive starts the fake of Pipedrive, which takes the same credentials as
// the CRM.
func (d *demo) startPipedrive(ctx context.Context) (err error) {
	fake := exec.Command(d.pipedriveServer) //nolint:gosec,noctx // ours; ended by process.end
	fake.Env = environment("PIPEDRIVE_FAKE_TOKENS=" + d.crmToken)
	if d.pipedriveFake, d.pipedriveFakeURL, err = spawn(ctx, "the fake of Pipedrive", fake, (*exec.Cmd).StdoutPipe, crmAddress); err != nil {
		return err
	}
	d.okf("a fake of Pipedrive at %s (pid %d)", d.pipedriveFakeURL, d.pipedriveFake.cmd.Process.Pid)
	return nil
}

// activity is what the demonstration looks at of Pipedrive's activities.
type activity struct {
	ID       int64  `json:"id"`
	Subject  string `json:"subject"`
	Note     string `json:"note"`
	DealID   int64  `json:"deal_id"`
	PersonID int64  `json:"person_id"`
	Done     bool   `json:"done"`
}

// pipedrive logs the first message once more, for a user whose CRM is Pipedrive:
// an entry of its own, and a record of its own there.
func (d *demo) pipedrive(ctx context.Context) error {
	if _, err := d.must(ctx, "adapter", "enable", pipedriveName, "--tenant", tenantID); err != nil {
		return err
	}
	a, err := d.must(ctx, "message", "add", "message.json", "--tenant", tenantID, "--adapter", pipedriveName,
		"--contact-id", contactID, "--contact-type", contactType, "--user-hostname", pipedriveHost,
		"--field", "deals:="+strconv.Itoa(pipedriveDeal))
	if err != nil {
		return err
	}
	logID := strings.TrimSpace(a.out)
	var ledger struct {
		Items []struct{ State, LogID, LogURL string }
	}
	if err := d.decode(ctx, &ledger, "message", "list", "--tenant", tenantID, "--adapter", pipedriveName); err != nil {
		return err
	}
	if len(ledger.Items) != 1 || ledger.Items[0].State != "logged" || ledger.Items[0].LogID != logID {
		return fmt.Errorf("the ledger has %+v, want one entry with the log ID %s", ledger.Items, logID)
	}
	var all struct{ Items []activity }
	if err := d.ask(ctx, http.MethodGet, d.pipedriveFakeURL+"/_control/activities", nil, &all); err != nil {
		return err
	}
	if len(all.Items) != 1 {
		return fmt.Errorf("Pipedrive has %d activities, want one", len(all.Items))
	}
	if err := all.Items[0].differs(logID); err != nil {
		return fmt.Errorf("the activity: %w", err)
	}
	d.okf("log ID %s; the activity is %q of deal %d", logID, all.Items[0].Subject, pipedriveDeal)
	d.activityPage = d.pipedriveFakeURL + "/activities/" + logID
	d.okf("its link: %s (here: %s)", ledger.Items[0].LogURL, d.activityPage)
	return nil
}

// differs says in what an activity is not the one of the first message.
func (a activity) differs(logID string) error {
	switch {
	case strconv.FormatInt(a.ID, 10) != logID:
		return fmt.Errorf("its id is %d, the log ID %s", a.ID, logID)
	case strconv.FormatInt(a.PersonID, 10) != contactID || a.DealID != pipedriveDeal:
		return fmt.Errorf("it is of person %d and deal %d", a.PersonID, a.DealID)
	case !a.Done || !strings.Contains(a.Note, "Flight information"):
		return errors.New("it is not done, or lacks the message's text")
	}
	return nil
}
