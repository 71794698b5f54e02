// Package relay carries one addMessageLog call from the edge to an adapter and
// back, so that no message is lost and none is logged twice.
//
// One call's life: decode and check the body; claim the messages that nobody
// holds, durably; send them, in one adapter call, while the send window is open;
// record the outcome; answer. Messages that another request holds are waited
// for, messages whose outcome is unknown are searched for in the CRM. The caller's
// deadline ends the caller's wait, never the call: a late log ID still settles
// its entry. docs/DELIVERY.md has the rules by number; host/ledger has the state
// table.
package relay

import (
	"context"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/sdk"
)

// Call is one addMessageLog call as an edge received it.
type Call struct {
	Tenant  string
	Adapter string
	// Body is the request body as it came. It must not change afterwards.
	Body []byte
	// Wait is how long the caller wants to wait; 0 is the adapter's call timeout.
	Wait time.Duration
	// RequestID names the call in every log line.
	RequestID string
}

// Result is the answer to a call all of whose messages are logged.
type Result struct {
	// Entry is the entry created now, else the one of the newest message.
	Entry ledger.Entry
	// Created is whether a CRM record was created now.
	Created bool
	// LogURL is a page on which a person sees the record; empty when unknown.
	LogURL string
	// Messages are the messages in the order of the request.
	Messages []Message
}

// Message says where one message of a request stands.
type Message struct {
	ID        string
	State     ledger.State
	Duplicate bool   // logged by an earlier request
	LogID     string // empty unless logged
	EntryID   string // empty when no entry holds it
}

// MessagesError is the cause of a fault that concerns only some messages, or
// leaves the caller with entries to ask after. It says where each message stands.
type MessagesError struct{ Messages []Message }

// Error says what it is; the fault around it carries the text for people.
func (e *MessagesError) Error() string { return "not every message is logged" }

// EntryIDs returns the entries involved, each once.
func (e *MessagesError) EntryIDs() []string {
	var out []string
	seen := map[string]bool{}
	for _, m := range e.Messages {
		if m.EntryID != "" && !seen[m.EntryID] {
			seen[m.EntryID] = true
			out = append(out, m.EntryID)
		}
	}
	return out
}

// Route is what the relay has to know to serve a tenant's calls to an adapter.
// Routes are read-only.
type Route struct {
	Tenant  string
	Adapter string
	Version string
	// Enabled is whether new messages may be sent.
	Enabled bool
	// Manifest is the version's manifest with the operator's overrides applied.
	Manifest *manifest.Manifest
	// Timezone is the tenant's; the zero Zone is UTC.
	Timezone sdk.Zone
	// Settings are the tenant's own settings, without defaults.
	Settings sdk.Values
	// BaseURLSet is whether the operator configured a base URL for the adapter,
	// so that user.hostname may be absent.
	BaseURLSet bool
}

// Routes resolves tenants and adapters. Implementations answer from memory,
// without a lock: they are asked on every call.
type Routes interface {
	// Route returns the tenant's route to the adapter, enabled or not. Faults:
	// tenant_not_found, adapter_not_found when it is not installed,
	// adapter_disabled when it was never enabled for the tenant.
	Route(tenant, adapter string) (*Route, error)
}

// Target names the process that a call needs.
type Target struct {
	Tenant, Adapter, Version string
	// RequestID is listed in the crash report if the process dies.
	RequestID string
}

// Adapters hands out running adapter processes.
type Adapters interface {
	// Acquire waits, within ctx, for a place in a process that serves the target.
	//
	// Outcomes:
	//  1. A Process, to be released.
	//  2. adapter_unavailable, with RetryAfter: it is not running and will not be
	//     in time.
	//  3. overloaded: too many calls wait already.
	//  4. shutting_down.
	// Nothing was sent in 2 to 4, and their class is retryable.
	Acquire(ctx context.Context, t Target) (Process, error)
}

// Process is one place in a running adapter process.
type Process interface {
	// AddMessageLog and FindMessageLog return faults only. One with
	// rpc.ErrBrokenOff in its chain says that no answer came: the process died, or
	// ctx ended, and the process may still be at it.
	AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)
	FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error)
	// CanFind is whether the adapter has FindMessageLog.
	CanFind() bool
	// Done is closed once the process has exited and been reaped.
	Done() <-chan struct{}
	// Condemn asks for the process to be replaced and then killed: it holds a
	// call that should have returned long ago.
	Condemn(cause string)
	// Release gives the place back. answered is whether the process answered a
	// call, be it with a fault of its own.
	Release(answered bool)
}
