package fault

import "slices"

// Code says what a fault is. Codes are added, never renamed: callers switch on
// them. docs/ERRORS.md lists each with its remedy.
type Code string

// The codes, in the order of docs/ERRORS.md.
const (
	MalformedRequest     Code = "malformed_request"
	UnsupportedMediaType Code = "unsupported_media_type"
	RequestTooLarge      Code = "request_too_large"
	InvalidFields        Code = "invalid_fields"
	Unauthenticated      Code = "unauthenticated"
	Forbidden            Code = "forbidden"
	AdapterDisabled      Code = "adapter_disabled"
	TenantNotFound       Code = "tenant_not_found"
	AdapterNotFound      Code = "adapter_not_found"
	MessageLogNotFound   Code = "message_log_not_found"
	RouteNotFound        Code = "route_not_found"
	MethodNotAllowed     Code = "method_not_allowed"
	OutcomeUnsettled     Code = "outcome_unsettled"
	InProgress           Code = "in_progress"
	AlreadyLogged        Code = "already_logged"
	Conflict             Code = "conflict"
	CRMRejected          Code = "crm_rejected"
	CRMUnauthorized      Code = "crm_unauthorized"
	RateLimited          Code = "rate_limited"
	AdapterFault         Code = "adapter_fault"
	NotSupported         Code = "unsupported"
	AdapterUnavailable   Code = "adapter_unavailable"
	CRMUnavailable       Code = "crm_unavailable"
	Overloaded           Code = "overloaded"
	ShuttingDown         Code = "shutting_down"
	Outcome              Code = "outcome_unknown"
	PoisonMessage        Code = "poison_message"
	Internal             Code = "internal"
)

type codeInfo struct {
	code    Code
	class   Class  // the class the host raises it with; adapters' faults carry their own
	source  Source // whose fault it usually is
	title   string // a sentence for people, without a full stop
	adapter bool   // an adapter may raise it
}

var codes = []codeInfo{
	{MalformedRequest, Permanent, Caller, "The request body is not well-formed JSON", false},
	{UnsupportedMediaType, Permanent, Caller, "The request body must be sent as application/json", false},
	{RequestTooLarge, Permanent, Caller, "The request body is larger than this host accepts", false},
	{InvalidFields, Permanent, Caller, "Some fields of the request are missing or wrong", false},
	{Unauthenticated, Permanent, Caller, "The request carries no valid token", false},
	{Forbidden, Permanent, Caller, "The token does not allow this request", false},
	{AdapterDisabled, Permanent, Host, "The adapter is installed but not enabled for this tenant", false},
	{TenantNotFound, Permanent, Caller, "There is no such tenant", false},
	{AdapterNotFound, Permanent, Caller, "There is no such adapter", false},
	{MessageLogNotFound, Permanent, Caller, "There is no such message log", false},
	{RouteNotFound, Permanent, Caller, "There is no such route", false},
	{MethodNotAllowed, Permanent, Caller, "The route does not take this method", false},
	{OutcomeUnsettled, Unknown, Host, "An earlier attempt to log these messages has an unknown outcome", false},
	{InProgress, Retryable, Host, "Another request is logging these messages", false},
	{AlreadyLogged, Permanent, Host, "These messages are logged already", false},
	{Conflict, Permanent, Host, "The resource is not in a state that allows this", false},
	{CRMRejected, Permanent, CRM, "The CRM refuses this request", true},
	{CRMUnauthorized, Permanent, CRM, "The CRM does not accept the credentials", true},
	{RateLimited, Retryable, CRM, "Calls come too fast", true},
	{AdapterFault, Unknown, Adapter, "The adapter failed", true},
	{NotSupported, Permanent, Adapter, "The adapter does not support this", true},
	{AdapterUnavailable, Retryable, Host, "The adapter is not running", false},
	{CRMUnavailable, Retryable, CRM, "The CRM cannot be reached", true},
	{Overloaded, Retryable, Host, "The host has more work than it can take", false},
	{ShuttingDown, Retryable, Host, "The host is shutting down", false},
	{Outcome, Unknown, Host, "The outcome of the call is not known yet", true},
	{PoisonMessage, Permanent, Host, "The message keeps crashing the adapter", false},
	{Internal, Unknown, Host, "The host failed", false},
}

var byCode = func() map[Code]codeInfo {
	m := make(map[Code]codeInfo, len(codes))
	for _, c := range codes {
		m[c.code] = c
	}
	return m
}()

// Codes returns every code, in a fixed order.
func Codes() []Code {
	out := make([]Code, len(codes))
	for i, c := range codes {
		out[i] = c.code
	}
	return out
}

// AdapterCodes returns the codes that an adapter may raise. Any other code that
// comes from an adapter becomes AdapterFault.
func AdapterCodes() []Code {
	return slices.DeleteFunc(Codes(), func(c Code) bool { return !byCode[c].adapter })
}

// Class returns the class with which the host raises the code; Unknown for a
// code that it does not know. Faults from adapters carry a class of their own.
func (c Code) Class() Class { return byCode[c].class }

// Source returns whose fault the code usually is; Host for a code that it does
// not know.
func (c Code) Source() Source {
	if i, ok := byCode[c]; ok {
		return i.source
	}
	return Host
}

// Title returns a sentence for people that says what the code means.
func (c Code) Title() string {
	if i, ok := byCode[c]; ok {
		return i.title
	}
	return byCode[Internal].title
}

// FromAdapter reports whether an adapter may raise the code.
func (c Code) FromAdapter() bool { return byCode[c].adapter }

// New returns a fault with the class that the host gives to the code. It is for
// hosts; adapters use the named constructors.
func New(c Code, msg string) *Error { return &Error{Code: c, Class: c.Class(), Msg: msg} }
