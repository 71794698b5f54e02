package httpapi

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Problem is the body of every refusal (RFC 9457). It repeats no value of the
// request, but for the ids of messages in Messages.
type Problem struct {
	Type     string `json:"type" format:"uri-reference" doc:"A page about this kind of problem: /problems/ and the code."`
	Title    string `json:"title" doc:"The kind of problem in a sentence."`
	Status   int    `json:"status" doc:"The HTTP status."`
	Detail   string `json:"detail,omitempty" doc:"What is wrong with this request, for people."`
	Instance string `json:"instance" format:"uri" doc:"Names this occurrence; it holds the request id."`
	Code     string `json:"code" doc:"The kind of problem, for programs."`
	Class    string `json:"class" enum:"unknown,retryable,permanent" doc:"Whether to try again. unknown: the CRM may have acted, do not repeat blindly. retryable: it surely has not, a later call may succeed. permanent: it has not, and will not until something changes."`
	Source   string `json:"source" enum:"caller,host,adapter,crm" doc:"Whose fault it is."`
	// RequestID names the request in the host's log.
	RequestID   string             `json:"requestId" doc:"Names the request in the host's log."`
	Errors      []strictjson.Fault `json:"errors,omitempty" doc:"Every fault of the body, by JSON Pointer; of the query, by ? and the parameter's name; of packages, by version, file and a pointer into it."`
	MessageLogs []string           `json:"messageLogs,omitempty" doc:"The ledger entries concerned."`
	Messages    []ProblemMessage   `json:"messages,omitempty" doc:"Where each message of the request stands."`

	retryAfter time.Duration
}

// ProblemMessage says where one message of a refused request stands.
type ProblemMessage struct {
	ID           string `json:"id" doc:"The message's id, as text."`
	State        string `json:"state,omitempty" enum:"in_flight,queued,unknown,logged,failed" doc:"Absent when no entry holds the message: it may be sent again."`
	LogID        string `json:"logId,omitempty" doc:"The CRM record of a logged message."`
	MessageLogID string `json:"messageLogId,omitempty" doc:"The ledger entry that holds the message."`
}

// The bounds of a problem. Adapters write details too, and a hostile body has a
// fault in every byte.
const (
	maxDetail = 2048 // bytes
	maxErrors = 500
)

// problemOf returns what a caller is told of err.
func problemOf(err error, requestID string) *Problem {
	code := fault.CodeOf(err)
	status, ok := problems[code]
	if !ok {
		code, status = fault.Internal, http.StatusInternalServerError
	}
	p := &Problem{
		Type: "/problems/" + string(code), Title: code.Title(), Status: status,
		Instance: "urn:patchbay:request:" + requestID, Code: string(code), RequestID: requestID,
		Class: fault.ClassOf(err).String(), Source: string(fault.SourceOf(err)),
		retryAfter: fault.RetryAfterOf(err),
	}
	busy := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	if busy && p.retryAfter <= 0 && fault.ClassOf(err) == fault.Retryable {
		p.retryAfter = defaultRetryAfter
	}
	if detail := cut(fault.MessageOf(err), maxDetail); detail != p.Title && ok {
		p.Detail = detail
	}
	if errors.Is(err, errQuery) { // the code's own title speaks of the body
		p.Title = titleQuery
	}
	var faults strictjson.Faults
	if errors.As(err, &faults) {
		p.Errors = faults[:min(len(faults), maxErrors)]
	}
	var standing *relay.MessagesError
	if errors.As(err, &standing) {
		p.MessageLogs = standing.EntryIDs()
		for _, m := range standing.Messages {
			p.Messages = append(p.Messages, ProblemMessage{m.ID, string(m.State), m.LogID, m.EntryID})
		}
	}
	return p
}

// cut returns at most limit bytes of text, in whole characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "..."
}

// Error returns the title, so that a Problem can travel as an error.
func (p *Problem) Error() string { return p.Title }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type, for huma.
func (p *Problem) ContentType(string) string { return typeProblem }

// GetHeaders returns the headers that go with the problem, for huma.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		seconds := math.Ceil(min(p.retryAfter, maxRetryAfter).Seconds())
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	return h
}

const (
	// maxRetryAfter is the longest wait that a caller is told.
	maxRetryAfter = 24 * time.Hour
	// defaultRetryAfter is what a caller is told when nobody knows better: it was
	// surely not sent, and is to be sent again.
	defaultRetryAfter = time.Second
)

// problem turns the error of a request into what its caller is told. What the
// host itself got wrong is logged here, for the caller does not see the cause.
func (a *API) problem(rq *request, err error) *Problem {
	p := problemOf(err, rq.id)
	if hostTrouble(err) && !errors.Is(err, errPanic) {
		a.complain(rq, "request failed", keyError, err)
	} else {
		a.deps.Log.Debug("request refused", keyRequestID, rq.id, keyOp, rq.http.Pattern,
			keyCode, p.Code, keyClass, p.Class)
	}
	return p
}

// hostTrouble reports whether the host itself got something wrong: it failed, or
// could not read or write its ledger. A host that only has enough to do names no
// cause.
func hostTrouble(err error) bool {
	f, ok := fault.As(err)
	if !ok || fault.CodeOf(err) == fault.Internal {
		return true
	}
	return f.Code == fault.Overloaded && causeOf(f.Err) != nil
}

// causeOf returns err, but nil when it only says where the messages stand.
func causeOf(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, part := range several.Unwrap() {
			if cause := causeOf(part); cause != nil {
				return cause
			}
		}
		return nil
	}
	if _, ok := err.(*relay.MessagesError); ok { //nolint:errorlint // itself, not the chain
		return nil
	}
	return err
}

// refuse answers a request with a problem, outside of huma.
func (a *API) refuse(rq *request, err error) {
	p := a.problem(rq, err)
	maps.Copy(rq.w.Header(), p.GetHeaders())
	writeJSON(rq.w, p.Status, typeProblem, p)
}

// writeJSON answers with v. A write error means that the caller has gone.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // none of our types does that
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// problems gives every code its HTTP status.
var problems = map[fault.Code]int{
	fault.MalformedRequest:     http.StatusBadRequest,
	fault.UnsupportedMediaType: http.StatusUnsupportedMediaType,
	fault.RequestTooLarge:      http.StatusRequestEntityTooLarge,
	fault.InvalidFields:        http.StatusUnprocessableEntity,
	fault.Unauthenticated:      http.StatusUnauthorized,
	fault.Forbidden:            http.StatusForbidden,
	fault.AdapterDisabled:      http.StatusForbidden,
	fault.TenantNotFound:       http.StatusNotFound,
	fault.AdapterNotFound:      http.StatusNotFound,
	fault.MessageLogNotFound:   http.StatusNotFound,
	fault.RouteNotFound:        http.StatusNotFound,
	fault.MethodNotAllowed:     http.StatusMethodNotAllowed,
	fault.OutcomeUnsettled:     http.StatusConflict,
	fault.InProgress:           http.StatusConflict,
	fault.AlreadyLogged:        http.StatusConflict,
	fault.Conflict:             http.StatusConflict,
	// Not 401 or 502: a proxy must not take a tenant's expired CRM token for a
	// sick host.
	fault.CRMRejected:        http.StatusFailedDependency,
	fault.CRMUnauthorized:    http.StatusFailedDependency,
	fault.RateLimited:        http.StatusTooManyRequests,
	fault.AdapterFault:       http.StatusBadGateway,
	fault.NotSupported:       http.StatusNotImplemented,
	fault.AdapterUnavailable: http.StatusServiceUnavailable,
	fault.CRMUnavailable:     http.StatusServiceUnavailable,
	fault.Overloaded:         http.StatusServiceUnavailable,
	fault.ShuttingDown:       http.StatusServiceUnavailable,
	fault.Outcome:            http.StatusGatewayTimeout,
	// Seen in ledger entries; no route raises it.
	fault.PoisonMessage: http.StatusBadGateway,
	fault.Internal:      http.StatusInternalServerError,
}
