package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// sdkName is what GetInfo answers as the name of the SDK.
var sdkName = fmt.Sprintf("patchbay-go/%d", sdk.ProtocolVersion)

// maxStackBytes bounds the stack of a panic in the log.
const maxStackBytes = 8 << 10

// Server serves one adapter over gRPC. Its methods are called concurrently, as
// are the adapter's.
type Server struct {
	adapterv1.UnimplementedAdapterServiceServer
	adapter sdk.Adapter
	log     *slog.Logger
}

// NewServer returns the server of an adapter. It logs panics and the causes of
// faults, which do not travel, to log; nil means the default logger at the time
// of the call.
func NewServer(a sdk.Adapter, log *slog.Logger) *Server { return &Server{adapter: a, log: log} }

// GetInfo answers with the adapter's capabilities.
func (s *Server) GetInfo(context.Context, *adapterv1.GetInfoRequest) (*adapterv1.GetInfoResponse, error) {
	return infoToProto(sdk.Info{SDK: sdkName, Capabilities: sdk.Capabilities(s.adapter)}), nil
}

// AddMessageLog hands the call to the adapter.
func (s *Server) AddMessageLog(ctx context.Context, p *adapterv1.AddMessageLogRequest) (*adapterv1.AddMessageLogResponse, error) {
	c := s.begin("AddMessageLog", sdk.NewSecret(p.GetAuthHeader()))
	req, err := requestFromProto(p)
	if err != nil {
		return nil, c.refuse(err)
	}
	req = req.WithCallState(c.state)
	c.state.Limit(req.NotAfter) // the send window is measured from the arrival on
	return answer(ctx, c, answerToProto, func(ctx context.Context) (*sdk.AddMessageLogResponse, error) {
		r, err := s.adapter.AddMessageLog(ctx, req)
		if err == nil && r != nil {
			err = sdk.CheckLogID(r.LogID)
		}
		return r, err
	})
}

// FindMessageLog hands the search to the adapter, if it can search.
func (s *Server) FindMessageLog(ctx context.Context, p *adapterv1.FindMessageLogRequest) (*adapterv1.FindMessageLogResponse, error) {
	c := s.begin("FindMessageLog", sdk.NewSecret(p.GetOriginal().GetAuthHeader()))
	finder, ok := s.adapter.(sdk.MessageLogFinder)
	if !ok {
		return nil, c.status(fault.Unsupported("the adapter cannot search for message logs"))
	}
	req, err := findRequestFromProto(p)
	if err != nil {
		return nil, c.refuse(err)
	}
	req.Original = req.Original.WithCallState(c.state)
	return answer(ctx, c, foundToProto, func(ctx context.Context) (*sdk.FindMessageLogResponse, error) {
		return finder.FindMessageLog(ctx, req)
	})
}

// CheckHealth asks the adapter for its health. An adapter without a health check
// is healthy; one whose check fails is not.
func (s *Server) CheckHealth(ctx context.Context, _ *adapterv1.CheckHealthRequest) (*adapterv1.CheckHealthResponse, error) {
	checker, ok := s.adapter.(sdk.HealthChecker)
	if !ok {
		return healthToProto(sdk.Serving(), unscrubbed), nil
	}
	c := s.begin("CheckHealth", sdk.Secret{})
	toProto := func(r *sdk.CheckHealthResponse) *adapterv1.CheckHealthResponse { return healthToProto(r, c.scrub) }
	out, err := answer(ctx, c, toProto, func(ctx context.Context) (*sdk.CheckHealthResponse, error) {
		return checker.CheckHealth(ctx, &sdk.CheckHealthRequest{})
	})
	if err != nil {
		return healthToProto(sdk.NotServing("the adapter's health check failed"), c.scrub), nil //nolint:nilerr // a failed check is an answer
	}
	return out, nil
}

func unscrubbed(text string) string { return text }

// call is one call into the adapter.
type call struct {
	op    string
	log   *slog.Logger
	state *callstate.State
	scrub func(string) string
}

func (s *Server) begin(op string, secret sdk.Secret) *call {
	log := s.log
	if log == nil {
		log = slog.Default()
	}
	return &call{op: op, log: log, state: new(callstate.State), scrub: scrubber(secret)}
}

// answerTime is how long before the host stops listening a call into the adapter
// ends, at most. A host that has heard nothing by then takes the process for hung
// and ends it, with everybody else's calls; so an adapter that waits for its CRM
// as long as it may must still have the time to say so.
const answerTime = 250 * time.Millisecond

// early returns ctx with a deadline that leaves time to answer: answerTime, or a
// tenth of what is left when that is less.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(answerTime, time.Until(deadline)/10)))
}

// answer runs one method of the adapter and turns what comes of it, a panic
// included, into what travels.
func answer[R, P any](ctx context.Context, c *call, toProto func(*R) *P, run func(context.Context) (*R, error)) (out *P, err error) {
	ctx, cancel := early(incoming(ctx))
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			out, err = nil, c.panicked(ctx, cause)
		}
	}()
	r, err := run(ctx)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	if r == nil {
		return nil, c.status(&fault.Error{
			Code: fault.AdapterFault, Class: fault.Unknown, Msg: "the adapter answered with neither a result nor an error",
		})
	}
	return toProto(r), nil
}

// failed turns an error of the adapter into a status. A fault travels as it is,
// unless a write that was seen speaks against it, and its cause is logged here;
// of any other error only the class travels, for its text may hold a secret.
func (c *call) failed(ctx context.Context, err error) error {
	f, ok := fault.As(err)
	switch {
	case ok && f.Class != fault.Unknown && c.state.MayHaveActed():
		f = overruled(f)
		err = f
	case ok:
	case ctx.Err() != nil && c.class() == fault.Unknown && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
		// The host has stopped listening, or is about to: what it would conclude by
		// itself.
		return c.status(&fault.Error{Code: fault.Outcome, Source: fault.Adapter, Msg: "the call ended before the adapter was done"})
	default:
		c.log.ErrorContext(ctx, "adapter returned an error that is no fault",
			"op", c.op, "class", c.class().String(), "error", c.scrub(err.Error()))
		return c.status(&fault.Error{
			Code: fault.AdapterFault, Class: c.class(), Msg: "the adapter failed with an error of its own",
		})
	}
	if f.Err != nil {
		c.log.WarnContext(ctx, "adapter call failed", "op", c.op,
			"code", string(fault.CodeOf(f)), "class", f.Class.String(), "error", c.scrub(err.Error()))
	}
	return c.status(f)
}

// overruled returns what travels instead of f, by which the CRM has not acted,
// when a write of the call stands: a record may exist, and a caller who believed
// f would log the message a second time.
func overruled(f *fault.Error) *fault.Error {
	return &fault.Error{
		Code: fault.Outcome, Class: fault.Unknown, Source: fault.Adapter, Err: f,
		Msg: "the CRM may have acted on a request of this call; then: " + fault.MessageOf(f),
	}
}

// panicked logs a panic and turns it into a status.
func (c *call) panicked(ctx context.Context, cause any) error {
	stack := string(debug.Stack())
	c.log.ErrorContext(ctx, "adapter panicked", "op", c.op, "class", c.class().String(),
		"error", c.scrub(fmt.Sprint(cause)), "stack", clip(c.scrub(stack), maxStackBytes))
	return c.status(&fault.Error{Code: fault.AdapterFault, Class: c.class(), Msg: "the adapter panicked"})
}

// refuse answers a request that cannot be read: the adapter never saw it.
func (c *call) refuse(err error) error {
	return c.status(&fault.Error{
		Code: fault.AdapterFault, Class: fault.Permanent, Source: fault.Adapter,
		Msg: "the adapter's SDK cannot read the request: " + err.Error(),
	})
}

// class is that of an outcome the adapter did not class itself.
func (c *call) class() fault.Class {
	if c.state.SurelyNotSent() {
		return fault.Permanent
	}
	return fault.Unknown
}

func (c *call) status(f *fault.Error) error { return toStatus(f, c.scrub) }
