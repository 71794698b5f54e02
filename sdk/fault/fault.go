// Package fault is the one error type that crosses Patchbay's borders: from a
// CRM client through an adapter, over the wire into the host, and from the host
// to the HTTP caller.
//
// A fault answers two questions. Class answers "may I try again?" and its zero
// value is the careful one: the CRM may have acted. Code answers "what is it?"
// with a stable name that callers may switch on.
//
// Adapter authors use the constructors (Rejected, Unauthorized, RetryAfter,
// Unavailable, OutcomeUnknown, Unsupported) and rarely the struct:
//
//	return nil, fault.Rejected("the contact has no e-mail address")
//
// The package depends on the standard library only.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class says whether the same call may be made again. States of the ledger
// follow the class alone.
type Class uint8

// The classes. The zero value is the careful one.
const (
	// Unknown: the CRM may have acted. Such a call is never repeated blindly.
	Unknown Class = iota
	// Retryable: the CRM surely has not acted, and a later call may succeed.
	Retryable
	// Permanent: the CRM has not acted, and will not until the request or the
	// setup changes.
	Permanent
)

var classNames = [...]string{Unknown: "unknown", Retryable: "retryable", Permanent: "permanent"}

// String returns "unknown", "retryable" or "permanent". Any other value is
// "unknown", the careful reading.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return classNames[Unknown]
}

// MarshalText writes the class as its name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a class by its name. A name it does not know becomes
// Unknown and is no error, so that a newer peer is read carefully.
func (c *Class) UnmarshalText(text []byte) error {
	*c = ParseClass(string(text))
	return nil
}

// ParseClass returns the class with that name, Unknown for any other text.
func ParseClass(name string) Class {
	for i, n := range classNames {
		if n == name {
			return Class(i)
		}
	}
	return Unknown
}

// Source says on whose side a fault arose.
type Source string

// The sources.
const (
	Caller  Source = "caller"
	Host    Source = "host"
	Adapter Source = "adapter"
	CRM     Source = "crm"
)

// Error is the one error that crosses borders. The zero value is a fault of
// class Unknown and code Internal.
type Error struct {
	// Op names what was being done, as "acme.AddMessageLog". Optional.
	Op string
	// Code says what it is. Empty reads as Internal.
	Code Code
	// Class says whether to try again. The zero value is Unknown.
	Class Class
	// Source says whose fault it is. Empty reads as the code's own source.
	Source Source
	// Msg is for people. It holds no secret, for it goes over the wire and to
	// the caller.
	Msg string
	// RetryAfter is how long to wait before trying again; 0 when not known.
	RetryAfter time.Duration
	// Err is the cause. It is logged where it arose and never sent.
	Err error
}

// Error returns "op: code: message: cause", leaving out what is empty, and of the
// cause what the message says already.
func (e *Error) Error() string {
	if e == nil {
		return "nil fault"
	}
	return strings.Join(e.words(""), ": ")
}

// words returns the parts of the fault's text that are not in said.
func (e *Error) words(said string) []string {
	parts := make([]string, 0, 4)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	parts = append(parts, string(CodeOf(e)))
	if e.Msg != "" && !strings.Contains(said, e.Msg) {
		parts = append(parts, e.Msg)
	}
	said += "\n" + e.Msg
	if cause, ok := e.Err.(*Error); ok && cause != nil { //nolint:errorlint // a fault deeper in the chain is part of another error's text
		return append(parts, cause.words(said)...)
	}
	if e.Err != nil {
		if text := e.Err.Error(); !strings.Contains(said, text) {
			parts = append(parts, text)
		}
	}
	return parts
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// As returns the fault in err's chain. A nil *Error in an error variable, an
// easy slip, is no fault.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e) && e != nil
	return e, ok
}

// ClassOf returns the class of the fault in err's chain. An error that is no
// fault is Unknown; so is nil, which no caller should ask about.
func ClassOf(err error) Class {
	if e, ok := As(err); ok {
		return e.Class
	}
	return Unknown
}

// CodeOf returns the code of the fault in err's chain, Internal when there is
// none.
func CodeOf(err error) Code {
	if e, ok := As(err); ok && e.Code != "" {
		return e.Code
	}
	return Internal
}

// SourceOf returns whose fault it is: the source set on the fault, else the
// source its code usually has.
func SourceOf(err error) Source {
	if e, ok := As(err); ok && e.Source != "" {
		return e.Source
	}
	return CodeOf(err).Source()
}

// RetryAfterOf returns how long to wait before trying again, 0 when the fault
// does not say.
func RetryAfterOf(err error) time.Duration {
	if e, ok := As(err); ok {
		return e.RetryAfter
	}
	return 0
}

// MessageOf returns the part of err that may be shown to a caller: the fault's
// Msg, or the code's own text. It never returns the text of a cause.
func MessageOf(err error) string {
	if e, ok := As(err); ok && e.Msg != "" {
		return e.Msg
	}
	return CodeOf(err).Title()
}

// Rejected reports that the CRM, or the adapter before it asked the CRM, refuses
// this request for good. Code crm_rejected, class Permanent.
func Rejected(msg string) *Error {
	return &Error{Code: CRMRejected, Class: Permanent, Msg: msg}
}

// Rejectedf is Rejected with a format. An error among the arguments formatted
// with %w becomes the cause.
func Rejectedf(format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: CRMRejected, Class: Permanent, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// Unauthorized reports that the CRM does not accept the credentials of this
// call. Code crm_unauthorized, class Permanent: new credentials are needed.
func Unauthorized(msg string) *Error {
	return &Error{Code: CRMUnauthorized, Class: Permanent, Msg: msg}
}

// RetryAfter reports that the CRM limits the rate of calls and has surely not
// acted. Code rate_limited, class Retryable; d may be 0 when the CRM did not say.
func RetryAfter(d time.Duration, msg string) *Error {
	return &Error{Code: RateLimited, Class: Retryable, Source: CRM, Msg: msg, RetryAfter: d}
}

// Unavailable reports that the CRM cannot be reached or refuses service for now
// and has surely not acted. Code crm_unavailable, class Retryable.
func Unavailable(d time.Duration, msg string) *Error {
	return &Error{Code: CRMUnavailable, Class: Retryable, Msg: msg, RetryAfter: d}
}

// OutcomeUnknown reports that the CRM may have acted. Code outcome_unknown,
// class Unknown; err is the cause and stays on this side of the wire.
func OutcomeUnknown(err error) *Error {
	return &Error{Code: Outcome, Class: Unknown, Msg: "the CRM may have acted on the request", Err: err}
}

// Unsupported reports that the adapter cannot do what was asked. Code
// unsupported, class Permanent.
func Unsupported(msg string) *Error {
	return &Error{Code: NotSupported, Class: Permanent, Msg: msg}
}
