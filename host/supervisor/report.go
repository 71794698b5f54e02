package supervisor

import (
	"slices"
	"time"
)

// State is where a process is in its life. The package comment has the diagram.
type State string

// The states.
const (
	Stopped     State = "stopped"
	Starting    State = "starting"
	Ready       State = "ready"
	Draining    State = "draining"
	Backoff     State = "backoff"
	Quarantined State = "quarantined"
)

// Key names one process of a Fleet.
type Key struct {
	// Adapter and Version name what runs.
	Adapter, Version string
	// Digest tells two packages of one version apart, of which the newer one takes
	// the other's place; "" where there is only one.
	Digest string
	// Tenant is the tenant the process belongs to; "" for a process that serves
	// all tenants.
	Tenant string
}

// Status is what is known of one Supervisor.
type Status struct {
	Key Key
	// State is the state, Since when it was entered.
	State State
	Since time.Time
	// Pid is the current process; 0 when there is none. Started is when it
	// became ready.
	Pid     int
	Started time.Time
	// Restarts counts the starts after the first one.
	Restarts int
	// Cause says why the process does not serve, Remedy what to do about it, and
	// Detail what was found. Empty while it serves.
	Cause  Cause
	Remedy string
	Detail string
	// NextStart is when a process in backoff or quarantine is started again.
	NextStart time.Time
	// InFlight counts the calls in the current process, Waiting those that wait
	// for it, Old the replaced processes that still drain.
	InFlight, Waiting, Old int
	// Serving is whether calls are sent to the process. Health is what it last
	// said of itself.
	Serving bool
	Health  string
}

// Crash is the report of one process that ended unasked, or of a start that
// failed.
type Crash struct {
	Time    time.Time `json:"time"`
	Adapter string    `json:"-"`
	Version string    `json:"version"`
	Tenant  string    `json:"tenant"`
	// Pid is 0 when no process was started.
	Pid    int    `json:"pid"`
	Cause  Cause  `json:"cause"`
	Remedy string `json:"remedy"`
	// Detail says what was found.
	Detail string `json:"detail,omitempty"`
	// ExitCode is -1 when the process was killed or never ran.
	ExitCode int    `json:"exitCode"`
	Signal   string `json:"signal"`
	UptimeMS int64  `json:"uptimeMs"`
	// Stderr holds its last lines.
	Stderr []string `json:"stderr"`
	// RequestIDs are the calls that were in flight.
	RequestIDs   []string `json:"requestIds"`
	PeakRSSBytes int64    `json:"peakRssBytes"`
	// Decision says what the host did then.
	Decision string `json:"decision"`
}

// ring keeps the last few crashes.
type ring struct {
	limit   int
	crashes []Crash
}

func (r *ring) add(c Crash) {
	if len(r.crashes) >= r.limit {
		r.crashes = slices.Delete(r.crashes, 0, len(r.crashes)-r.limit+1)
	}
	r.crashes = append(r.crashes, c)
}

// newest returns the crashes, newest first.
func (r *ring) newest() []Crash {
	out := slices.Clone(r.crashes)
	slices.Reverse(out)
	return out
}
