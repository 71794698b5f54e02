package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// ProcessStatus is the state of one adapter process.
type ProcessStatus struct {
	Adapter     string     `json:"adapter"`
	Version     string     `json:"version"`
	Digest      string     `json:"digest" doc:"SHA-256 of the checksums.txt of the package that it runs. Another than the version's: the package was replaced, and the process ends with its calls."`
	Tenant      string     `json:"tenant" doc:"Whose process it is; empty for all tenants'."`
	State       string     `json:"state" enum:"stopped,starting,ready,draining,backoff,quarantined"`
	Since       time.Time  `json:"since" doc:"When that state began."`
	PID         int        `json:"pid" doc:"0 when no process runs."`
	StartedAt   *time.Time `json:"startedAt" doc:"When the process became ready."`
	Restarts    int        `json:"restarts"`
	Cause       string     `json:"cause,omitempty" doc:"Why it does not serve."`
	Remedy      string     `json:"remedy,omitempty" doc:"What to do about it."`
	Detail      string     `json:"detail,omitempty" doc:"What was found."`
	NextStartAt *time.Time `json:"nextStart" doc:"When it is started again, of a process in backoff or quarantine."`
	InFlight    int        `json:"inFlight" doc:"Calls that it works on."`
	Waiting     int        `json:"waiting" doc:"Calls that wait for it."`
	Serving     bool       `json:"serving" doc:"Whether calls are sent to it."`
	Health      string     `json:"health,omitempty" doc:"What it last said of itself."`
	NotEnforced []string   `json:"notEnforced,omitempty" doc:"What the manifest asks for and this build does not enforce."`
}

// Crash is the report of one process that ended unasked, or of a start that
// failed.
type Crash struct {
	Time         time.Time `json:"time"`
	Version      string    `json:"version"`
	Tenant       string    `json:"tenant"`
	PID          int       `json:"pid"`
	Cause        string    `json:"cause"`
	Remedy       string    `json:"remedy"`
	Detail       string    `json:"detail,omitempty"`
	ExitCode     int       `json:"exitCode" doc:"-1 when the process was killed or never ran."`
	Signal       string    `json:"signal"`
	UptimeMillis int64     `json:"uptimeMs"`
	Stderr       []string  `json:"stderr" doc:"The last lines, or those of the panic."`
	RequestIDs   []string  `json:"requestIds" doc:"The calls in flight."`
	PeakRSSBytes int64     `json:"peakRssBytes"`
	Decision     string    `json:"decision" doc:"What the host did then."`
}

type crashesOutput struct{ Body page[Crash] }

type processRef struct{ version, tenant string }

func (a *API) processRoutes() {
	register(a, route{
		method: http.MethodGet, path: "/v1/adapters/{adapter}/crashes", id: "listCrashes", tag: "Adapters",
		summary: "Crash reports of an adapter, newest first", right: adminOnly, status: http.StatusOK,
		codes: []fault.Code{fault.AdapterNotFound},
	}, a.listCrashes)
	codes := []fault.Code{
		fault.AdapterNotFound, fault.TenantNotFound, fault.Conflict, fault.NotSupported, fault.AdapterUnavailable,
	}
	register(a, route{
		method: http.MethodPost, path: "/v1/adapters/{adapter}/restart", id: "restartAdapter", tag: "Adapters",
		summary: "Replace the processes of an adapter; calls in flight end first", right: adminOnly,
		body: optionalBody, bodyType: processBody{}, status: http.StatusNoContent, codes: codes,
	}, a.control(a.deps.Processes.Restart))
	register(a, route{
		method: http.MethodPost, path: "/v1/adapters/{adapter}/unquarantine", id: "unquarantineAdapter", tag: "Adapters",
		summary: "Start the quarantined processes of an adapter at once", right: adminOnly,
		body: optionalBody, bodyType: processBody{}, status: http.StatusNoContent, codes: codes,
	}, a.control(a.deps.Processes.Unquarantine))
}

func (a *API) listCrashes(_ context.Context, rq *request, in *adapterInput) (*crashesOutput, error) {
	if _, err := a.adapter(in.Adapter, rq); err != nil {
		return nil, err
	}
	crashes := a.deps.Processes.Crashes(in.Adapter)
	for i := range crashes {
		if crashes[i].Stderr == nil {
			crashes[i].Stderr = []string{}
		}
		if crashes[i].RequestIDs == nil {
			crashes[i].RequestIDs = []string{}
		}
	}
	return &crashesOutput{newPage(crashes, "")}, nil // they are few by nature
}

// control returns the handler of a route that does something to processes.
func (a *API) control(do func(ctx context.Context, adapter, version, tenant string) error) handler[adapterInput, nothing] {
	return func(ctx context.Context, rq *request, in *adapterInput) (*nothing, error) {
		ref, err := rq.processRef()
		if err != nil {
			return nil, err
		}
		if _, err := a.adapter(in.Adapter, rq); err != nil {
			return nil, err
		}
		return &nothing{}, do(ctx, in.Adapter, ref.version, ref.tenant)
	}
}

// processRef reads which processes are meant.
func (rq *request) processRef() (processRef, error) {
	root, err := rq.document()
	if err != nil {
		return processRef{}, err
	}
	var faults strictjson.Faults
	faults.Closed(root, "version", "tenant")
	ref := processRef{filled(&faults, root.Get("version")), filled(&faults, root.Get("tenant"))}
	if ref.version != "" && !manifest.ValidVersion(ref.version) {
		faults.Add(root.Get("version"), strictjson.CodeInvalid, "must be a semantic version without a leading v")
	}
	if ref.tenant != "" && !tenant.ValidID(ref.tenant) {
		faults.Add(root.Get("tenant"), strictjson.CodeInvalid, "must be the id of a tenant")
	}
	return ref, invalid(faults)
}
