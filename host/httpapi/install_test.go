package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestInstall(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.processes.statuses = []httpapi.ProcessStatus{processStatus("crm", "1.1.0", "ready")}
	f.installer.install = func(adapter, version string) error {
		if adapter == "fresh" {
			f.catalog.packages = append(f.catalog.packages, pack(t, "fresh", "0.1.0"))
			return nil
		}
		f.catalog.packages = slices.Insert(f.catalog.packages, 0, pack(t, "crm", "1.2.0"))
		return nil
	}
	const path = "/v1/adapters/crm"
	var shown httpapi.Adapter
	r := f.do("POST", path+"/install", adminToken, `{"version":"1.2.0"}`).want(t, http.StatusOK)
	r.into(t, &shown)
	if len(shown.Versions) != 3 || shown.Versions[0].Version != "1.2.0" || len(shown.Processes) != 1 {
		t.Errorf("answered %s", r.body)
	}
	if got := f.do("GET", path, adminToken, "").want(t, http.StatusOK).body; got != r.body {
		t.Errorf("answered\n%s\nGET answers\n%s", r.body, got)
	}
	f.do("POST", "/v1/adapters/fresh/install", adminToken, "").want(t, http.StatusOK)
	f.do("POST", "/v1/adapters/fresh/install", adminToken, `{"version":null}`).want(t, http.StatusOK)
	f.do("POST", "/v1/adapters/Fresh!/install", adminToken, "").refused(t, fault.AdapterNotFound)
	p := f.do("POST", path+"/install", adminToken, `{"version":"v1"}`).refused(t, fault.InvalidFields)
	if len(p.Errors) != 1 || p.Errors[0].Pointer != "/version" {
		t.Errorf("got %v", p.Errors)
	}
	if want := []string{"crm 1.2.0", "fresh", "fresh"}; !slices.Equal(f.installer.told, want) {
		t.Errorf("told %q, want %q", f.installer.told, want)
	}
}

func TestInstallIsRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.installer.install = func(string, string) error {
		var faults strictjson.Faults
		faults.AddAt("1.1.0", catalog.CauseInvalidManifest, "manifest.json breaks the rules; mend the manifest")
		faults.AddAt("1.1.0/manifest.json#/auth", strictjson.CodeRequired, "is required")
		return &fault.Error{
			Code: fault.Conflict, Class: fault.Permanent, Source: fault.Host, Err: faults,
			Msg: "version 1.1.0 of crm is refused: invalid_manifest; nothing was changed",
		}
	}
	r := f.do("POST", "/v1/adapters/crm/install", adminToken, "", func(r *http.Request) { r.Header.Set("X-Request-Id", "golden") })
	r.refused(t, fault.Conflict)
	golden(t, "install.problem.json", r.body)
	for code, err := range map[fault.Code]error{
		fault.AdapterNotFound: fault.New(fault.AdapterNotFound, "no package of this adapter lies in the adapters folders"),
		fault.Overloaded:      &fault.Error{Code: fault.Overloaded, Class: fault.Retryable, Msg: "the ledger cannot be written", Err: errors.New("disk full")},
		fault.Outcome:         &fault.Error{Code: fault.Outcome, Class: fault.Unknown, Msg: "the ledger did not confirm the install"},
		fault.ShuttingDown:    fault.New(fault.ShuttingDown, ""),
	} {
		f.installer.install = func(string, string) error { return err }
		f.do("POST", "/v1/adapters/crm/install", adminToken, "").refused(t, code)
	}
}

// deadlines is a recorder that notes which deadlines it is given for its answer.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// TestInstallMayTakeItsTime has an install during which the deadline of the answer
// is lifted: a process may take longer to start than a call to be answered.
func TestInstallMayTakeItsTime(t *testing.T) {
	t.Parallel()
	f, w := setup(t), &deadlines{ResponseRecorder: httptest.NewRecorder()}
	f.installer.install = func(string, string) error {
		if len(w.set) != 1 || !w.set[0].IsZero() {
			t.Errorf("during the install the deadlines %v are set, want none", w.set)
		}
		return nil
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/adapters/crm/install", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+adminToken)
	began := time.Now()
	f.ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(w.set) != 2 || !w.set[1].After(began) {
		t.Errorf("answered %d, deadlines %v", w.Code, w.set)
	}
}
