package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
)

// enablement changes the enablement of examplecrm for acme.
func (h *host) enablement(t *testing.T, method, body string, status int) {
	t.Helper()
	h.send(request{Method: method, Path: "/v1/tenants/acme/adapters/examplecrm", Body: body}).into(t, status, nil)
}

// TestSwitchingOffAndOn switches an adapter off while a call is in flight and an
// entry unsettled: the call ends well, the entry settles, new messages are refused
// from the next call on, and are taken again once it is switched on.
func TestSwitchingOffAndOn(t *testing.T) {
	t.Parallel()
	c, h := lab(t, nil)
	h.tenant(t, "beta", "examplecrm")
	c.set(server.Switches{SearchLag: 500 * time.Millisecond, Faults: []server.Fault{{Do: server.Reset, When: server.After, Next: 1}}})
	unsettled := h.add("acme", "examplecrm", one(1)).refused(t, 504, "outcome_unknown").MessageLogs[0]
	c.set(server.Switches{SearchLag: 500 * time.Millisecond, AnswerDelay: 300 * time.Millisecond})
	inFlight := h.goAdd("acme", "examplecrm", one(2))
	c.arrived(2)

	h.enablement(t, http.MethodPatch, `{"enabled":false}`, 200)
	h.add("acme", "examplecrm", one(3)).refused(t, 403, "adapter_disabled")
	inFlight.wait(t).logged(t, 201)
	h.becomes(t, "acme", unsettled, "logged")
	h.add("acme", "examplecrm", one(1)).refused(t, 403, "adapter_disabled")
	h.add("beta", "examplecrm", one(3)).logged(t, 201) // only acme's was switched off

	h.enablement(t, http.MethodPatch, `{"enabled":true}`, 200)
	h.add("acme", "examplecrm", group(1, 2)).logged(t, 200)
	h.add("acme", "examplecrm", one(3)).logged(t, 201)
	h.enablement(t, http.MethodDelete, "", 204)
	h.add("acme", "examplecrm", one(4)).refused(t, 403, "adapter_disabled")
	h.enablement(t, http.MethodPut, `{"enabled":true,"settings":{"subjectPrefix":"[SMS]","signature":"<Acme>"}}`, 201)
	h.add("acme", "examplecrm", one(4)).logged(t, 201)
	c.want(t, "1", "2", "3", "3", "4")
	c.agree(t, h, "acme", "beta")
	last := c.Activities()[4]
	if !strings.HasPrefix(last.Subject, "[SMS] ") || !strings.HasSuffix(last.Note, "<p>&lt;Acme&gt;</p>") {
		t.Errorf("the settings did not reach the record: %q, %q", last.Subject, last.Note)
	}
}

// TestRightsOfATenantToken sends a tenant's token to every kind of route.
func TestRightsOfATenantToken(t *testing.T) {
	t.Parallel()
	c, h := lab(t, nil)
	h.tenant(t, "beta", "examplecrm")
	token := h.token(t, "acme")
	id := h.send(request{Path: path("acme", "examplecrm"), Token: token, Body: one(1)}).logged(t, 201).MessageLogID
	const own, other, missing = "/v1/tenants/acme", "/v1/tenants/beta", "/v1/tenants/nobody"
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", own + "/adapters/examplecrm/message-logs", one(1), 200},
		{"GET", own + "/message-logs", "", 200},
		{"GET", own + "/message-logs/" + id, "", 200},
		{"POST", own + "/message-logs/" + id + "/retry", "", 409},
		{"POST", own + "/message-logs/" + id + "/resolve", `{"logId":"1"}`, 409},
		{"GET", own, "", 200},
		{"GET", own + "/adapters", "", 200},
		{"GET", own + "/adapters/examplecrm", "", 200},
		{"GET", "/v1/adapters", "", 200},
		{"GET", "/v1/adapters/examplecrm", "", 200},
		{"GET", "/v1/adapters/examplecrm/versions/1.0.0/manifest", "", 200},

		{"PUT", own, `{"displayName":"x"}`, 403},
		{"PATCH", own, `{"displayName":"x"}`, 403},
		{"DELETE", own, "", 403},
		{"GET", "/v1/tenants", "", 403},
		{"PUT", own + "/adapters/examplecrm", `{"enabled":true}`, 403},
		{"PATCH", own + "/adapters/examplecrm", `{"enabled":false}`, 403},
		{"DELETE", own + "/adapters/examplecrm", "", 403},
		{"GET", own + "/tokens", "", 403},
		{"POST", own + "/tokens", `{"name":"x"}`, 403},
		{"DELETE", own + "/tokens/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", 403},
		{"GET", "/v1/adapters/examplecrm/crashes", "", 403},
		{"POST", "/v1/adapters/examplecrm/restart", "", 403},
		{"POST", "/v1/adapters/examplecrm/unquarantine", "", 403},

		{"POST", other + "/adapters/examplecrm/message-logs", one(1), 403},
		{"GET", other + "/message-logs", "", 403},
		{"GET", other + "/message-logs/" + id, "", 403},
		{"POST", other + "/message-logs/" + id + "/forget", "", 403},
		{"GET", other, "", 403},
		{"GET", other + "/adapters", "", 403},
		{"GET", missing, "", 403}, // whether it exists is none of its business
		{"GET", missing + "/message-logs", "", 403},
	} {
		got := h.send(request{Method: r.method, Path: r.path, Token: token, Body: r.body})
		if got.status != r.status {
			t.Errorf("%s %s: status %d, want %d: %s", r.method, r.path, got.status, r.status, got.body)
		}
		if strings.HasPrefix(r.path, "/v1/adapters") && strings.Contains(string(got.body), `"pid"`) {
			t.Errorf("%s tells a tenant of processes: %s", r.path, got.body)
		}
	}
	// An entry of one tenant is not found under the other, whoever asks.
	h.send(request{Path: other + "/message-logs/" + id}).refused(t, 404, "message_log_not_found")

	var all struct{ Items []struct{ ID string } }
	h.send(request{Path: own + "/tokens"}).into(t, 200, &all)
	h.send(request{Method: http.MethodDelete, Path: own + "/tokens/" + all.Items[0].ID}).into(t, 204, nil)
	h.send(request{Path: own, Token: token}).refused(t, 401, "unauthenticated")
	var short struct{ Token string }
	soon := time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	h.send(request{Path: own + "/tokens", Body: fmt.Sprintf(`{"name":"short","expiresAt":%q}`, soon)}).into(t, 201, &short)
	eventually(t, "a token expires", func() bool { return h.send(request{Path: own, Token: short.Token}).status == 401 })
	c.want(t, "1")
}

// shelf is an adapters folder of a test's own.
type shelf struct{ dir, binary string }

func newShelf(t *testing.T) shelf {
	t.Helper()
	return shelf{t.TempDir(), binary(t, "examplecrm")}
}

// install packs a version of examplecrm and returns its folder.
func (s shelf) install(t *testing.T, version, displayName string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "manifests", "examplecrm.json"))
	must(t, err)
	manifest := strings.Replace(string(text), `"version": "1.0.0"`, `"version": "`+version+`"`, 1)
	manifest = strings.Replace(manifest, `"displayName": "Example CRM"`, `"displayName": "`+displayName+`"`, 1)
	file := filepath.Join(t.TempDir(), "manifest.json")
	must(t, os.WriteFile(file, []byte(manifest), 0o600))
	must(t, pack(t.Context(), s.dir, file, s.binary))
	return filepath.Join(s.dir, "examplecrm", version)
}

// TestVersionsArePinned installs newer versions beside the one in use: nobody is
// moved, new tenants get the newest stable one, and moving is a change of one
// member.
func TestVersionsArePinned(t *testing.T) {
	t.Parallel()
	c, shelf := startCRM(t, crmToken), newShelf(t)
	s := setup{crm: c, dirs: []string{shelf.dir}}
	shelf.install(t, "1.0.0", "First")
	h := startHost(t, s)
	h.tenant(t, "acme", "examplecrm")
	id := 0
	serves := func(tenant, version string) {
		t.Helper()
		id++
		if got := h.add(tenant, "examplecrm", one(id)).logged(t, 201).Adapter.Version; got != version {
			t.Errorf("%s is served by %s, want %s", tenant, got, version)
		}
	}
	serves("acme", "1.0.0")
	must(t, h.stop())

	shelf.install(t, "1.1.0", "Second")
	shelf.install(t, "2.0.0-rc.1", "Third")
	s.data = h.data
	h = startHost(t, s)
	h.tenant(t, "beta", "examplecrm")
	serves("acme", "1.0.0")
	serves("beta", "1.1.0")
	if all := h.processes(t, "examplecrm"); len(all) != 2 || all[0].PID == all[1].PID {
		t.Errorf("processes %+v, want one for each version", all)
	}
	h.add("acme", "examplecrm", one(1)).logged(t, 200) // a version is no part of what a message is
	for _, version := range []string{"1.1.0", "2.0.0-rc.1", "1.0.0"} {
		h.enablement(t, http.MethodPatch, `{"version":"`+version+`"}`, 200)
		serves("acme", version)
		h.add("acme", "examplecrm", one(1)).logged(t, 200)
	}
	h.enablement(t, http.MethodPatch, `{"version":null}`, 200)
	serves("acme", "1.1.0")
	h.enablement(t, http.MethodPatch, `{"version":"3.0.0"}`, 422)
	serves("acme", "1.1.0")
	c.agree(t, h, "acme", "beta")
}

// TestTamperedPackage changes an installed package. While the host runs it goes on
// with the bytes that it has verified; from its next start on the version is
// refused, also when the checksums were made to fit.
func TestTamperedPackage(t *testing.T) {
	t.Parallel()
	c, shelf := startCRM(t, crmToken), newShelf(t)
	s := setup{crm: c, dirs: []string{shelf.dir, bundled(t, "faulty")}}
	folder := shelf.install(t, "1.0.0", "First")
	h := startHost(t, s)
	h.tenant(t, "acme", "examplecrm", "faulty")
	h.add("acme", "examplecrm", one(1)).logged(t, 201)

	executable := ""
	must(t, filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "examplecrm" && d.Type().IsRegular() {
			executable = path
		}
		return err
	}))
	genuine, err := os.ReadFile(executable)
	must(t, err)
	must(t, os.WriteFile(executable, append([]byte("#!/bin/false\n"), genuine...), 0o600))
	pid := h.pid(t, "examplecrm")
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, "the death is reported", func() bool { return len(h.crashes(t, "examplecrm")) == 1 })
	h.add("acme", "examplecrm", one(2)).logged(t, 201)
	must(t, h.stop())

	s.data = h.data
	h = startHost(t, s)
	h.refusesPackage(t, "digest_mismatch")
	must(t, h.stop())

	// Another program under the same version, with checksums that fit.
	must(t, os.RemoveAll(folder))
	shelf.install(t, "1.0.0", "Other")
	h = startHost(t, s)
	h.refusesPackage(t, "digest_mismatch")
	must(t, h.stop())

	must(t, os.RemoveAll(folder))
	shelf.install(t, "1.0.0", "First")
	h = startHost(t, s)
	h.enablement(t, http.MethodPatch, `{"enabled":true}`, 200)
	h.add("acme", "examplecrm", group(1, 2)).logged(t, 200)
	h.add("acme", "examplecrm", one(3)).logged(t, 201)
	c.want(t, "1", "2", "3")
	c.agree(t, h, "acme")
}

// refusesPackage checks that examplecrm is refused for that cause, that its tenant
// may switch it off all the same, and that other adapters serve.
func (h *host) refusesPackage(t *testing.T, cause string) {
	t.Helper()
	var adapter struct {
		Problems  []struct{ Version, Cause, Remedy string }
		Processes []process
	}
	h.send(request{Path: "/v1/adapters/examplecrm"}).into(t, 200, &adapter)
	if len(adapter.Problems) != 1 || adapter.Problems[0].Cause != cause || adapter.Problems[0].Remedy == "" || len(adapter.Processes) != 0 {
		t.Errorf("adapter %+v, want the problem %s and no process", adapter, cause)
	}
	r := h.add("acme", "examplecrm", one(9))
	if p := r.refused(t, 404, "adapter_not_found"); !strings.Contains(p.Detail, cause) {
		t.Errorf("the caller is told %q", p.Detail)
	}
	if r := h.add("acme", "faulty", script(1, "ok")); r.status != 200 && r.status != 201 { // logged, now or before
		t.Errorf("faulty answers %d: %s", r.status, r.body)
	}
	h.enablement(t, http.MethodPatch, `{"enabled":false}`, 200)
	h.enablement(t, http.MethodPatch, `{"enabled":true}`, 422)
	h.enablement(t, http.MethodPatch, `{"enabled":false}`, 200)
}
