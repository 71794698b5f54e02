package demo

import (
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestItSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	err := Runner(filepath.Join(t.TempDir(), "patchbay"))(t.Context(), io.Discard, false)
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}

// TestMessages reads the messages that are shown: they must be what the host
// takes, with the exact conversation id.
func TestMessages(t *testing.T) {
	t.Parallel()
	raw, err := messages.ReadFile("testdata/message.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := sdk.ParseMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID.String() != "60279564004" || m.ConversationID.String() != "5578984350117917661" || m.Subject != "Flight information" {
		t.Errorf("got %+v", m)
	}
	group, err := messages.ReadFile("testdata/group.json")
	if err != nil || strings.Count(string(group), "5578984350117917661") != 3 {
		t.Errorf("the group is not of one conversation: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"listening":"127.0.0.1:1","url":"http://127.0.0.1:1"}`: "http://127.0.0.1:1",
		`{}`: "", `text`: "",
	} {
		if got := crmAddress([]byte(line)); got != want {
			t.Errorf("crmAddress(%s) = %q", line, got)
		}
	}
	for line, want := range map[string]string{
		`{"msg":"host started","address":"127.0.0.1:1"}`:  "http://127.0.0.1:1",
		`{"msg":"host stopping","address":"127.0.0.1:1"}`: "", `text`: "",
	} {
		if got := hostAddress([]byte(line)); got != want {
			t.Errorf("hostAddress(%s) = %q", line, got)
		}
	}
}

func TestAProcessThatDoesNotStart(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"no such file": {exec.CommandContext(t.Context(), filepath.Join(t.TempDir(), "none")), "no such file"},
		"ends at once": {exec.CommandContext(t.Context(), "/bin/sh", "-c", "echo text; exit 3"), "it ended at once: exit status 3"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := spawn(t.Context(), "the host", c.cmd, (*exec.Cmd).StdoutPipe, hostAddress)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAProcessIsEnded(t *testing.T) {
	t.Parallel()
	script := `trap 'exit 0' TERM; echo '{"url":"http://x"}'; while :; do sleep 0.05; done`
	p, url, err := spawn(t.Context(), "the CRM", exec.CommandContext(t.Context(), "/bin/sh", "-c", script), (*exec.Cmd).StdoutPipe, crmAddress)
	if err != nil || url != "http://x" {
		t.Fatal(url, err)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	select {
	case <-p.gone:
	default:
		t.Error("it was not reaped")
	}
}

// TestTheComparisonCanFail spoils one thing at a time.
func TestTheComparisonCanFail(t *testing.T) {
	t.Parallel()
	sound := func() (entry, record) {
		e := entry{ID: "01J", State: "logged", LogID: "1", Members: []struct{ ID string }{{"a"}, {"b"}}}
		e.Contact.ID, e.Contact.Type = "7", "person"
		return e, record{ID: 1, ContactID: "7", ContactType: "person", MessageIDs: []string{"a", "b"}}
	}
	e, r := sound()
	if err := e.differs(r, true); err != nil {
		t.Fatalf("a sound pair: %v", err)
	}
	for name, spoil := range map[string]func(*entry, *record) bool{
		"state":        func(e *entry, _ *record) bool { e.State = "unknown"; return true },
		"no record":    func(*entry, *record) bool { return false },
		"contact":      func(_ *entry, r *record) bool { r.ContactID = "8"; return true },
		"contact type": func(_ *entry, r *record) bool { r.ContactType = ""; return true },
		"lost message": func(_ *entry, r *record) bool { r.MessageIDs = r.MessageIDs[:1]; return true },
		"order":        func(_ *entry, r *record) bool { slices.Reverse(r.MessageIDs); return true },
	} {
		e, r := sound()
		if err := e.differs(r, spoil(&e, &r)); err == nil {
			t.Errorf("%s: no difference found", name)
		}
	}
}

// TestTheActivityIsLookedAt spoils one thing of an activity at a time.
func TestTheActivityIsLookedAt(t *testing.T) {
	t.Parallel()
	sound := activity{ID: 1, Note: "<p>Flight information</p>", DealID: pipedriveDeal, PersonID: 7, Done: true}
	if err := sound.differs("1"); err != nil {
		t.Fatalf("a sound activity: %v", err)
	}
	for name, spoil := range map[string]func(*activity){
		"id":     func(a *activity) { a.ID = 2 },
		"person": func(a *activity) { a.PersonID = 8 },
		"deal":   func(a *activity) { a.DealID = 0 },
		"open":   func(a *activity) { a.Done = false },
		"text":   func(a *activity) { a.Note = "" },
	} {
		spoiled := sound
		if spoil(&spoiled); spoiled.differs("1") == nil {
			t.Errorf("%s: no difference found", name)
		}
	}
}
