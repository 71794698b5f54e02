package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const (
	// errorDomain marks an ErrorInfo as ours.
	errorDomain = "patchbay"
	metaClass   = "class"
	metaSource  = "source"
	// maxWait is the longest wait that a host takes from an adapter.
	maxWait = 24 * time.Hour
)

// grpcCodes gives each fault code the gRPC code under which it travels. Tools
// read it; the host goes by the ErrorInfo alone.
var grpcCodes = map[fault.Code]codes.Code{
	fault.MalformedRequest:     codes.InvalidArgument,
	fault.UnsupportedMediaType: codes.InvalidArgument,
	fault.RequestTooLarge:      codes.InvalidArgument,
	fault.InvalidFields:        codes.InvalidArgument,
	fault.Unauthenticated:      codes.Unauthenticated,
	fault.Forbidden:            codes.PermissionDenied,
	fault.AdapterDisabled:      codes.FailedPrecondition,
	fault.TenantNotFound:       codes.NotFound,
	fault.AdapterNotFound:      codes.NotFound,
	fault.MessageLogNotFound:   codes.NotFound,
	fault.RouteNotFound:        codes.NotFound,
	fault.MethodNotAllowed:     codes.InvalidArgument,
	fault.OutcomeUnsettled:     codes.Aborted,
	fault.InProgress:           codes.Aborted,
	fault.AlreadyLogged:        codes.AlreadyExists,
	fault.Conflict:             codes.FailedPrecondition,
	fault.CRMRejected:          codes.FailedPrecondition,
	fault.CRMUnauthorized:      codes.PermissionDenied,
	fault.RateLimited:          codes.ResourceExhausted,
	fault.AdapterFault:         codes.Internal,
	fault.NotSupported:         codes.Unimplemented,
	fault.AdapterUnavailable:   codes.Unavailable,
	fault.CRMUnavailable:       codes.Unavailable,
	fault.Overloaded:           codes.ResourceExhausted,
	fault.ShuttingDown:         codes.Unavailable,
	fault.Outcome:              codes.Unknown,
	fault.PoisonMessage:        codes.FailedPrecondition,
	fault.Internal:             codes.Internal,
}

// toStatus returns the status error under which a fault travels. A code that an
// adapter may not raise becomes adapter_fault; the class stays. The cause does
// not travel.
func toStatus(f *fault.Error, scrub func(string) string) error {
	code := f.Code
	if !code.FromAdapter() {
		code = fault.AdapterFault
	}
	info := &errdetails.ErrorInfo{
		Domain: errorDomain, Reason: string(code),
		Metadata: map[string]string{metaClass: f.Class.String()},
	}
	if s := adapterSource(f.Source); s != "" && s != code.Source() {
		info.Metadata[metaSource] = string(s)
	}
	details := []protoadapt.MessageV1{info}
	if f.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(min(f.RetryAfter, maxWait))})
	}
	text := f.Msg
	if text == "" {
		text = code.Title()
	}
	st, err := status.New(grpcCodes[code], clip(scrub(text), maxTextBytes)).WithDetails(details...)
	if err != nil { // every detail is ours and valid; a plain status still reads as unknown
		return status.Error(codes.Internal, code.Title())
	}
	return st.Err()
}

// adapterSource returns s when an adapter may name it as the source of a fault,
// else nothing.
func adapterSource(s fault.Source) fault.Source {
	if s == fault.Adapter || s == fault.CRM {
		return s
	}
	return ""
}

// fromError returns the fault that a failed call of the client reports. ctx is
// the call's own; scrub takes the call's secret out of what the adapter wrote.
func fromError(ctx context.Context, op string, err error, scrub func(string) string) *fault.Error {
	st, _ := status.FromError(err)
	text := clip(scrub(st.Message()), maxTextBytes)
	info, wait := details(st)
	if info == nil {
		return fromTransport(ctx, op, st.Code(), text)
	}
	f := &fault.Error{
		Op: op, Code: fault.Code(info.GetReason()),
		Class:  fault.ParseClass(info.GetMetadata()[metaClass]),
		Source: adapterSource(fault.Source(info.GetMetadata()[metaSource])),
		Msg:    text, RetryAfter: wait,
	}
	if !f.Code.FromAdapter() {
		f.Code = fault.AdapterFault
	}
	if f.Code == fault.Outcome {
		f.Class = fault.Unknown // the code says so itself
	}
	if f.Source == "" && f.Code.Source() == fault.Host {
		f.Source = fault.Adapter // it was not the host that raised it
	}
	return f
}

// details returns our ErrorInfo, nil when there is none, and the wait.
func details(st *status.Status) (info *errdetails.ErrorInfo, wait time.Duration) {
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if info == nil && d.GetDomain() == errorDomain {
				info = d
			}
		case *errdetails.RetryInfo:
			wait = boundedWait(d.GetRetryDelay())
		}
	}
	return info, wait
}

// boundedWait reads a wait from an adapter: 0 when absent or malformed, at most
// maxWait.
func boundedWait(d *durationpb.Duration) time.Duration {
	if d.CheckValid() != nil {
		return 0
	}
	return min(max(d.AsDuration(), 0), maxWait)
}

// ErrBrokenOff is in the chain of a fault of the Client when the call ended
// before the adapter had answered it: the connection broke, the deadline passed,
// or the caller gave up. The adapter may still be at work, or hang. Without it,
// whatever the fault, the adapter's handler has returned.
var ErrBrokenOff = errors.New("the call broke off")

// fromTransport reads a status without our ErrorInfo: the process died, the
// deadline passed, the answer was too large, or a handler in another language
// threw what its SDK did not turn into a fault. The CRM may have acted.
func fromTransport(ctx context.Context, op string, code codes.Code, text string) *fault.Error {
	f := &fault.Error{Op: op, Code: fault.Outcome, Class: fault.Unknown}
	cause := fmt.Errorf("transport status %s: %s", code, text)
	switch code {
	case codes.Unavailable:
		f.Msg = "the connection to the adapter ended before it answered"
		f.Err = errors.Join(ErrBrokenOff, cause)
	case codes.DeadlineExceeded:
		f.Msg = "the adapter did not answer in time"
		f.Err = errors.Join(ErrBrokenOff, context.DeadlineExceeded, cause)
	case codes.Canceled:
		f.Msg = "the call was cancelled before the adapter answered"
		f.Err = errors.Join(ErrBrokenOff, ctx.Err(), cause)
	default:
		f.Msg, f.Err = "the adapter's answer was no answer that can be read", cause
	}
	return f
}
