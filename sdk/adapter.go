// Package sdk is what the author of a CRM adapter imports: the Adapter
// interface, the optional interfaces beside it, and the types of their requests
// and answers.
//
// An adapter implements Adapter and hands itself to serve.Adapter in its main
// function. Every further ability is a further interface (MessageLogFinder,
// HealthChecker), found by type assertion, so the list of capabilities that an
// adapter reports cannot lie.
//
// # More than one step
//
// Some CRMs want several requests for one record: a create, then a link to a deal
// or a folder. Look up first whatever can be refused. Once the record exists, the
// answer is Logged with its ID, whatever becomes of the rest: what is missing is
// told the user in a ReturnMessage of type Warning. A fault then would say
// that the CRM may have acted, and lock the messages until a search finds the record
// that was known all the time:
//
//	logged := sdk.Logged(id)
//	if err := file(ctx, id, folder); err != nil {
//		slog.WarnContext(ctx, "card not filed", "error", err)
//		logged.ReturnMessage = &sdk.ReturnMessage{
//			Message: "The card was made, but it is not in its folder.", MessageType: sdk.Warning,
//		}
//	}
//	return logged, nil
//
// An answer can get lost between the steps, and then the search finds a record
// whose later steps were never made. It cannot make up for them, for a search
// writes nothing; it can look whether they are missing, and answer Found with such
// a ReturnMessage. The example of crmhttp's Session.Do shows both requests.
//
// # Other packages
//
// Beside this package stand sdk/crmhttp, the HTTP client for talking to a CRM;
// sdk/render, which turns messages into notes; sdk/fault, the errors; and
// sdk/sdktest, the conformance suite. This package depends on the standard
// library and sdk/fault only.
package sdk

import (
	"context"
	"slices"
	"time"
)

// ProtocolVersion is the version of the adapter contract that this SDK speaks.
const ProtocolVersion = 1

// Adapter is all that an adapter must implement. Its methods are called
// concurrently.
type Adapter interface {
	// AddMessageLog creates one CRM record for the message or the group of
	// messages in req, associated with req.ContactInfo, and returns its ID.
	//
	// Outcomes:
	//  1. The record exists: a response whose LogID is the record's ID, whatever
	//     becomes of further steps; see "More than one step" above.
	//  2. The CRM surely did not act and may later: an error of class
	//     fault.Retryable (fault.RetryAfter, fault.Unavailable).
	//  3. The CRM did not act and will not until something changes: an error of
	//     class fault.Permanent (fault.Rejected, fault.Unauthorized,
	//     fault.Unsupported).
	//  4. The CRM may have acted: fault.OutcomeUnknown. A plain error and a panic
	//     count as this too, unless every request of the call went through
	//     crmhttp and none of them was a write.
	//
	// Outcomes 2 and 3 are believed only while they can be true: when crmhttp saw
	// a write of this call that the CRM did not refuse, the host is told outcome 4
	// instead, and the adapter's own fault is logged. A search by POST is no write
	// when crmhttp is told so, by Session.QueryJSON or Request.ReadOnly.
	//
	// ctx ends when the host no longer listens, which is later than
	// req.Deadline. Nothing may be sent to the CRM after req.NotAfter; crmhttp
	// sees to that.
	AddMessageLog(ctx context.Context, req *AddMessageLogRequest) (*AddMessageLogResponse, error)
}

// MessageLogFinder is implemented by adapters whose CRM can be searched for a
// record made by an earlier AddMessageLog. With it, the host settles calls of
// unknown outcome by itself; without it, a person must.
type MessageLogFinder interface {
	// FindMessageLog looks for the records that AddMessageLog made for
	// req.Original, usually by its idempotency key.
	//
	// It must not write: crmhttp refuses every write of a search.
	//
	// Outcomes:
	//  1. Found(ids...): these records exist. With a ReturnMessage, where a later
	//     step of the create is seen to be missing.
	//  2. NotFound(asOf): the search was complete and there was none.
	//  3. CannotTell(after): anything else, such as a rate limit, refused
	//     credentials or a truncated page. An error means the same.
	FindMessageLog(ctx context.Context, req *FindMessageLogRequest) (*FindMessageLogResponse, error)
}

// HealthChecker is implemented by adapters that can tell whether they are able
// to serve. It is asked without credentials: an expired token belongs to a call,
// never to the process.
type HealthChecker interface {
	// CheckHealth answers Serving or NotServing(reason). An error counts as not
	// serving.
	CheckHealth(ctx context.Context, req *CheckHealthRequest) (*CheckHealthResponse, error)
}

// Capability is the name of one ability of an adapter.
type Capability string

// The capabilities of protocol version 1.
const (
	CanAddMessageLog  Capability = "addMessageLog"
	CanFindMessageLog Capability = "findMessageLog"
	CanCheckHealth    Capability = "checkHealth"
)

// Capabilities returns what a can do, derived from the interfaces that it
// implements.
func Capabilities(a Adapter) []Capability {
	out := []Capability{CanAddMessageLog}
	if _, ok := a.(MessageLogFinder); ok {
		out = append(out, CanFindMessageLog)
	}
	if _, ok := a.(HealthChecker); ok {
		out = append(out, CanCheckHealth)
	}
	return out
}

// Info describes a running adapter process.
type Info struct {
	// SDK names the SDK and its version, as "patchbay-go/1".
	SDK string
	// Capabilities lists what the adapter can do.
	Capabilities []Capability
}

// Can reports whether the adapter has the capability.
func (i Info) Can(c Capability) bool {
	return slices.Contains(i.Capabilities, c)
}

// CheckHealthRequest asks an adapter for its health. It carries nothing yet.
type CheckHealthRequest struct{}

// CheckHealthResponse says whether an adapter can serve.
type CheckHealthResponse struct {
	// Serving is whether calls may be sent.
	Serving bool
	// Message says why not. It holds no secret.
	Message string
}

// Serving is the answer of a healthy adapter.
func Serving() *CheckHealthResponse { return &CheckHealthResponse{Serving: true} }

// NotServing is the answer of an adapter that cannot serve, with the reason.
func NotServing(reason string) *CheckHealthResponse { return &CheckHealthResponse{Message: reason} }

// Verdict is the outcome of a search for a message log.
type Verdict uint8

// The verdicts. The zero value is the careful one.
const (
	// VerdictCannotTell: the search was not complete.
	VerdictCannotTell Verdict = iota
	// VerdictFound: at least one record was found.
	VerdictFound
	// VerdictNotFound: a complete search found none.
	VerdictNotFound
)

// String returns "cannotTell", "found" or "notFound".
func (v Verdict) String() string {
	switch v {
	case VerdictFound:
		return "found"
	case VerdictNotFound:
		return "notFound"
	default:
		return "cannotTell"
	}
}

// FindMessageLogRequest asks for the records made by an earlier AddMessageLog.
type FindMessageLogRequest struct {
	// Original is the whole original request. Its AuthHeader may be another one
	// than the attempts carried (see Lent); its NotAfter is zero, for a search
	// writes nothing.
	Original *AddMessageLogRequest
	// IdempotencyKey is the key that every attempt carried.
	IdempotencyKey string
	// SentAfter and SentBefore bound the time in which a record may have been
	// created, by the host's clock.
	SentAfter, SentBefore time.Time
	// Lent is whether Original's AuthHeader may not be the one that the attempts
	// carried: a caller has lent his own to this search, or to an attempt. It may
	// be a newer token of the same user, or that of somebody else, from whom the
	// CRM may hide the record. Where a CRM hides records and the request does not
	// say whose this one is, an empty list is then "cannot tell".
	Lent bool
}

// FindMessageLogResponse is the outcome of a search. Make one with Found,
// NotFound or CannotTell.
type FindMessageLogResponse struct {
	// Verdict is the outcome.
	Verdict Verdict
	// LogIDs are all records found, oldest first.
	LogIDs []string
	// Complete is whether LogIDs surely holds all of them.
	Complete bool
	// ReturnMessage is shown to the user whose messages were found, as that of
	// AddMessageLogResponse. Optional; it counts only beside records found. A
	// search cannot make up for later steps of a create that were lost, but it
	// can say so.
	ReturnMessage *ReturnMessage
	// AsOf is the moment for which "not found" holds: the CRM's own statement of
	// how fresh its index is, else the moment the search began.
	AsOf time.Time
	// RetryAfter is when to ask again after "cannot tell"; 0 when not known.
	RetryAfter time.Duration
}

// Found answers that these records exist, oldest first, and that there are no
// others.
func Found(logIDs ...string) *FindMessageLogResponse {
	if len(logIDs) == 0 {
		return CannotTell(0)
	}
	return &FindMessageLogResponse{Verdict: VerdictFound, LogIDs: logIDs, Complete: true}
}

// NotFound answers that a complete search, true as of that moment, found
// nothing.
func NotFound(asOf time.Time) *FindMessageLogResponse {
	return &FindMessageLogResponse{Verdict: VerdictNotFound, Complete: true, AsOf: asOf}
}

// CannotTell answers that the search was not complete. after is when to ask
// again, 0 when not known.
func CannotTell(after time.Duration) *FindMessageLogResponse {
	return &FindMessageLogResponse{Verdict: VerdictCannotTell, RetryAfter: after}
}
