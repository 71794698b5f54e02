package pipedrive

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/pipedrive/internal/pipedrivetest"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// TestSearchIsNotFooled: when the search itself meets a fault, or one of the
// requests that confirm it, it cannot tell, though nothing is there to be found.
func TestSearchIsNotFooled(t *testing.T) {
	t.Parallel()
	for _, route := range []pipedrivetest.Route{pipedrivetest.RouteActivities, pipedrivetest.RouteMe, pipedrivetest.RoutePerson} {
		faults := map[string]pipedrivetest.Fault{
			// More than once: net/http repeats a read by itself on a connection that it
			// had used before.
			"reset": {Do: pipedrivetest.Reset, Next: 9}, "429": {Do: pipedrivetest.Status, Status: 429, RateLimitReset: 5},
			"401": {Do: pipedrivetest.Status, Status: 401}, "500": {Do: pipedrivetest.Status, Status: 500},
		}
		for _, junk := range []pipedrivetest.Junk{
			pipedrivetest.HTML, pipedrivetest.Truncated, pipedrivetest.Empty, pipedrivetest.NoData,
			pipedrivetest.NotSuccess, pipedrivetest.NoID, pipedrivetest.TextID,
		} {
			faults[string(junk)] = pipedrivetest.Fault{Do: pipedrivetest.Garbage, Junk: junk}
		}
		for name, f := range faults {
			t.Run(string(route)+" "+name, func(t *testing.T) {
				t.Parallel()
				fake, address := startFake(t, pipedrivetest.Config{})
				// Of somebody else, so that the list has ids to be spoilt.
				if err := fake.Seed(pipedrivetest.Seeding{PersonID: 7, Count: 3}); err != nil {
					t.Fatal(err)
				}
				a, req := newAdapter(t, address), graces()
				f.Route = route
				switches(t, fake, f)
				found := find(t, a, req)
				if found.Verdict != sdk.VerdictCannotTell {
					t.Errorf("the search says %s", found.Verdict)
				}
				if f.RateLimitReset != 0 && found.RetryAfter != 5*time.Second {
					t.Errorf("wait of %s", found.RetryAfter)
				}
				switches(t, fake)
				if found := find(t, a, req); found.Verdict != sdk.VerdictNotFound {
					t.Errorf("after the fault the search says %s", found.Verdict)
				}
			})
		}
	}
}

// TestAppliedLate: an activity that Pipedrive stores after it has broken off is not
// there at first, and there later.
func TestAppliedLate(t *testing.T) {
	t.Parallel()
	fake, address := startFake(t, pipedrivetest.Config{})
	a, req := newAdapter(t, address), graces()
	switches(t, fake, onCreate(pipedrivetest.Fault{Do: pipedrivetest.Late, Delay: time.Minute}))
	if _, err := a.AddMessageLog(t.Context(), req); fault.ClassOf(err) != fault.Unknown {
		t.Fatalf("got %v", err)
	}
	if found := find(t, a, req); found.Verdict != sdk.VerdictNotFound {
		t.Errorf("before: %+v", found)
	}
	fake.Close() // stores at once what was to be stored late
	if found := find(t, a, req); !slices.Equal(found.LogIDs, []string{"1"}) {
		t.Errorf("after: %+v", found)
	}
}

// TestFindAmongMany: three pages of others, and notes so long that pages of 500 do
// not fit into an answer.
func TestFindAmongMany(t *testing.T) {
	t.Parallel()
	for name, seeding := range map[string]pipedrivetest.Seeding{
		"1,200 others": {PersonID: 7, Count: 1200},
		"exactly 500":  {PersonID: 7, Count: 500},
		"long notes":   {PersonID: 7, Count: 50, Note: strings.Repeat("x", 90_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, address := startFake(t, pipedrivetest.Config{})
			if err := fake.Seed(seeding); err != nil {
				t.Fatal(err)
			}
			a, req := newAdapter(t, address), graces()
			if found := find(t, a, req); found.Verdict != sdk.VerdictNotFound {
				t.Fatalf("before: %+v", found)
			}
			mustLog(t, a, req)
			found := find(t, a, req)
			if want := fmt.Sprint(seeding.Count + 1); !slices.Equal(found.LogIDs, []string{want}) || !found.Complete {
				t.Errorf("found %+v, want %s", found, want)
			}
		})
	}
}

// TestFindTwo: all that there are, oldest first.
func TestFindTwo(t *testing.T) {
	t.Parallel()
	_, address := startFake(t, pipedrivetest.Config{})
	a, req := newAdapter(t, address), graces()
	for range 12 {
		mustLog(t, a, req)
	}
	if found := find(t, a, req); len(found.LogIDs) != 12 || found.LogIDs[0] != "1" || found.LogIDs[11] != "12" {
		t.Errorf("found %+v", found)
	}
}

// TestFindInTime: only what is older than the first attempt by more than a day is
// left out, by the account's clock; what was edited meanwhile is not.
func TestFindInTime(t *testing.T) {
	t.Parallel()
	clock := pipedrivetest.NewManualClock(time.Now())
	fake, address := startFake(t, pipedrivetest.Config{Now: clock.Now})
	a, req := newAdapter(t, address), graces()
	search := func(sentAfter time.Time) *sdk.FindMessageLogResponse {
		t.Helper()
		r := sdktest.FindRequest(req)
		r.SentAfter, r.SentBefore = sentAfter, sentAfter.Add(time.Minute)
		found, err := a.FindMessageLog(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	clock.Advance(-20 * time.Hour) // the account's clock is behind ours
	mustLog(t, a, req)
	sent := time.Now()
	if found := search(sent); !slices.Equal(found.LogIDs, []string{"1"}) {
		t.Errorf("behind by 20 hours: %+v", found)
	}
	if found := search(sent.Add(5 * time.Hour)); found.Verdict != sdk.VerdictNotFound {
		t.Errorf("older than a day: %+v", found)
	}
	clock.Advance(40 * time.Hour)
	change(t, address, `{"subject":"Edited","done":false}`)
	if found := search(sent); !slices.Equal(found.LogIDs, []string{"1"}) {
		t.Errorf("edited 20 hours after the search's end: %+v", found)
	}
	change(t, address, `{"note":"<p>Rewritten.</p>"}`)
	if found := search(sent); found.Verdict != sdk.VerdictNotFound {
		t.Errorf("without its key: %+v", found) // as documented, and as nothing can help
	}
	if n := len(fake.Activities()); n != 1 {
		t.Errorf("%d activities", n)
	}
}

// change edits activity 1 as a user of the account does.
func change(t *testing.T, address, members string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, address+"/api/v2/activities/1", strings.NewReader(members))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", sdktestToken)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("edit: %s", resp.Status)
	}
}

// TestSearchWithAnothersEyes: a search with the credentials of another user cannot
// say that there is nothing, and may well say that there is something.
func TestSearchWithAnothersEyes(t *testing.T) {
	t.Parallel()
	_, address := startFake(t, pipedrivetest.Config{Tokens: []pipedrivetest.Token{{Text: "sdktest-token"}, {Text: "edsgers", UserID: 1002}}})
	a := newAdapter(t, address)
	theirs := graces()
	theirs.AuthHeader = sdk.NewSecret("Bearer edsgers")
	if found := find(t, a, theirs); found.Verdict != sdk.VerdictCannotTell {
		t.Errorf("before: %+v", found)
	}
	mustLog(t, a, graces())
	if found := find(t, a, theirs); found.Verdict != sdk.VerdictFound {
		t.Errorf("after: %+v", found)
	}
}

// TestSearchForAnOwnerThatIsNotNamed: the record is the first user's, whose
// credentials made it. A colleague who sees his own work alone does not see it; so
// he cannot say that it is not there, nor can an empty list of lent credentials.
func TestSearchForAnOwnerThatIsNotNamed(t *testing.T) {
	t.Parallel()
	const no, tell = sdk.VerdictNotFound, sdk.VerdictCannotTell
	for name, test := range map[string]struct {
		token  string
		lent   bool
		before sdk.Verdict
		after  sdk.Verdict
	}{
		"who made it":                 {"sdktest-token", false, no, sdk.VerdictFound},
		"perhaps who made it":         {"sdktest-token", true, tell, sdk.VerdictFound},
		"a colleague":                 {"edsgers", true, tell, tell},
		"an admin":                    {"admins", true, no, sdk.VerdictFound},
		"an admin with his own":       {"admins", false, no, sdk.VerdictFound},
		"a colleague who sees others": {"barbaras", true, tell, sdk.VerdictFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := startFake(t, pipedrivetest.Config{
				Users: []pipedrivetest.User{{ID: 1001}, {ID: 1002, OwnOnly: true}, {ID: 1003, Admin: true}, {ID: 1004}},
				Tokens: []pipedrivetest.Token{
					{Text: "sdktest-token", UserID: 1001},
					{Text: "edsgers", UserID: 1002},
					{Text: "admins", UserID: 1003},
					{Text: "barbaras", UserID: 1004},
				},
			})
			a, req := newAdapter(t, address), graces()
			asUser(`{"hostname":"acme.pipedrive.com"}`)(req)
			search := func() sdk.Verdict {
				r := sdktest.FindRequest(req)
				r.Original.AuthHeader, r.Lent = sdk.NewSecret("Bearer "+test.token), test.lent
				found, err := a.FindMessageLog(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				return found.Verdict
			}
			if got := search(); got != test.before {
				t.Errorf("before: %s, want %s", got, test.before)
			}
			mustLog(t, a, req)
			if got := search(); got != test.after {
				t.Errorf("after: %s, want %s", got, test.after)
			}
		})
	}
}
