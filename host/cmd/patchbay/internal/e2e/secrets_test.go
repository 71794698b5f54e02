package e2e

import (
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// marker stands in every value of a marked request that may not be told to
// anyone: in names, texts, numbers of telephones, links, and in the credentials,
// of which it is a part.
const marker = "mArK7f3aQ0zX"

// markedToken is the CRM's token in tests that look for the marker.
const markedToken = marker + "-token"

// marked returns a request body with the marker in every value, but for ids and
// the hostname, which the ledger shows by design.
func marked(id int, with fields) string {
	all := fields{
		"user": `{"id":"u-1","hostname":"acme.examplecrm.example","name":"` + marker + `","unknown":["` + marker + `"]}`,
		"contactInfo": `{"id":7,"type":"person","phoneNumber":"` + marker + `","name":"` + marker + `","unknown":{"a":"` +
			marker + `"}}`,
		"authHeader":           strconv.Quote("Bearer " + markedToken),
		"additionalSubmission": `{"associatedDeal":"` + marker + `","address":"` + marker + `"}`,
		"recordingLink":        `"https://media.example/` + marker + `?t=` + marker + `"`,
		"message": `{"id":` + strconv.Itoa(id) + `,"creationTime":1700000000000,"subject":"` + marker + ` ` + strconv.Itoa(id) +
			`","from":{"phoneNumber":"` + marker + `"},"to":[{"phoneNumber":"` + marker + `","location":"` + marker +
			`"}],"unknown":"` + marker + `","uri":"https://platform.example/` + marker + `"}`,
	}
	maps.Copy(all, with)
	return body(all)
}

// markedScript returns a marked request for faulty.
func markedScript(id int, script string) string {
	return marked(id, fields{"additionalSubmission": `{"script":` + strconv.Quote(script) + `}`})
}

// tellsNothing looks for the marker wherever a host leaves something: in all that
// it answered so far, in what it shows of itself, in its log with the output of
// its adapters, and in its files.
func (h *host) tellsNothing(t testing.TB, tenants ...string) {
	t.Helper()
	shown := []string{"/metrics", "/openapi.json", "/readyz", "/v1/adapters", "/v1/tenants"}
	for _, tenant := range tenants {
		shown = append(shown, "/v1/tenants/"+tenant, "/v1/tenants/"+tenant+"/adapters",
			"/v1/tenants/"+tenant+"/tokens", "/v1/tenants/"+tenant+"/message-logs?limit=500")
	}
	for _, adapter := range []string{"examplecrm", "faulty", "pipedrive"} {
		shown = append(shown, "/v1/adapters/"+adapter, "/v1/adapters/"+adapter+"/crashes")
	}
	for _, path := range shown {
		if r := h.send(request{Path: path}); r.err != nil || len(r.body) == 0 {
			t.Errorf("%s answered %d %s, %v", path, r.status, r.body, r.err)
		}
	}
	h.keepsNothing(t)
}

// keepsNothing is tellsNothing for a host that does not answer any more.
func (h *host) keepsNothing(t testing.TB) {
	t.Helper()
	holds(t, "an answer", h.answers.String(), `"code":`)
	holds(t, "the log", h.log.String(), `"host started"`)
	database := ""
	err := filepath.WalkDir(h.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasPrefix(d.Name(), "patchbay.db") {
			database += string(text)
		} else if strings.Contains(string(text), marker) {
			t.Errorf("the file %s holds a value of a request", d.Name())
		}
		return err
	})
	must(t, err)
	holds(t, "the database", database, "acme") // its tenant
}

// holds checks that the text holds what it must, so that the right thing is looked
// at, but not the marker.
func holds(t testing.TB, where, text, must string) {
	t.Helper()
	if !strings.Contains(text, must) {
		t.Errorf("%s does not hold %q", where, must)
	}
	for rest := text; ; {
		i := strings.Index(rest, marker)
		if i < 0 {
			return
		}
		t.Errorf("%s holds a value of a request: ...%q...", where, rest[max(0, i-200):min(len(rest), i+100)])
		rest = rest[i+len(marker):]
	}
}

// TestBrokenBodies puts the marker into every place of a request, in the shapes
// that do not belong there.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	c := startCRM(t, markedToken)
	h := startHost(t, setup{crm: c})
	h.tenant(t, "acme", "examplecrm")
	records := 0
	send := func(body string) {
		t.Helper()
		r := h.add("acme", "examplecrm", body)
		switch {
		case r.err != nil:
			t.Fatal(r.err)
		case r.status == http.StatusCreated:
			records++
		case r.status == http.StatusOK: // logged before
		case r.status == http.StatusFailedDependency: // the CRM does not know that authHeader
		case r.status != http.StatusBadRequest && r.status != http.StatusUnprocessableEntity:
			t.Errorf("status %d for %s: %s", r.status, body, r.body)
		}
	}
	wrong := []string{
		`"` + marker + `"`, `["` + marker + `"]`, `{"a":"` + marker + `"}`, `"` + marker + `\u0000"`, `"` + marker + `\ud800"`,
		`"` + strings.Repeat(marker, 800) + `"`, marker, `{"id":"` + marker + `","id":1}`, `"https://` + marker + `:1@x"`,
	}
	// The ledger keeps and shows ids, so none may be accepted that holds the marker.
	asID := func(value string) bool { return value[0] == '"' && !strings.Contains(value, `\u`) }
	for _, value := range wrong {
		for _, member := range []string{
			"user", "contactInfo", "authHeader", "message", "messages", "additionalSubmission", "recordingLink", "timezoneOffset",
		} {
			send(marked(1, fields{member: value}))
		}
		for _, member := range []string{"id", "hostname", "name", "timezone", "userSettings"} {
			if member != "id" || !asID(value) {
				send(marked(1, fields{"user": `{"` + member + `":` + value + `}`}))
			}
		}
		for _, member := range []string{"id", "type", "phoneNumber", "name"} {
			if member == "phoneNumber" || member == "name" || !asID(value) {
				send(marked(1, fields{"contactInfo": `{"id":7,"type":"t","` + member + `":` + value + `}`}))
				send(marked(1, fields{"contactInfo": `{"` + member + `":` + value + `}`}))
			}
		}
		for _, member := range []string{"id", "creationTime", "conversationId"} {
			send(marked(1, fields{"contactInfo": `{"id":[]}`, "message": `{"` + member + `":` + value + `}`}))
		}
		for _, member := range []string{"associatedDeal", "address", "channel", "dealWarning"} {
			send(marked(1, fields{"additionalSubmission": `{"` + member + `":` + value + `}`}))
		}
	}
	whole := marked(1, nil)
	for at := 1; at < len(whole); at += 7 {
		send(whole[:at])
		send(whole[:at] + "\xff" + whole[at:])
	}
	if n := len(c.Activities()); n != records || records == 0 {
		t.Errorf("%d records in the CRM, %d answers say so", n, records)
	}
	h.tellsNothing(t, "acme")
}
