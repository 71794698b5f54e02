package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// The operations by which faults of the client name what was being done.
const (
	opInfo           = "adapter.GetInfo"
	opAddMessageLog  = "adapter.AddMessageLog"
	opFindMessageLog = "adapter.FindMessageLog"
	opCheckHealth    = "adapter.CheckHealth"
	opShutdown       = "adapter.Shutdown"
)

// shutdownMethod is go-plugin's own request to end the process.
const shutdownMethod = "/plugin.GRPCController/Shutdown"

// Client calls one adapter process. Every error is a *fault.Error. The context's
// deadline says how long to listen, and nothing else does. All methods may be
// called concurrently.
type Client struct {
	conn    grpc.ClientConnInterface
	service adapterv1.AdapterServiceClient
}

// NewClient returns a client on a connection made with DialOptions. The caller
// closes the connection.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{conn: conn, service: adapterv1.NewAdapterServiceClient(conn)}
}

// Info asks what the adapter can do.
func (c *Client) Info(ctx context.Context) (sdk.Info, error) {
	p, err := c.service.GetInfo(outgoing(ctx), &adapterv1.GetInfoRequest{})
	if err != nil {
		return sdk.Info{}, fromError(ctx, opInfo, err, unscrubbed)
	}
	return infoFromProto(p), nil
}

// AddMessageLog hands a request to the adapter.
//
// Outcomes:
//  1. A response with a checked log ID: the CRM record exists.
//  2. A fault of the adapter with its class. Its code is one of
//     fault.AdapterCodes.
//  3. adapter_fault, class unknown: the adapter answered what cannot be used.
//  4. outcome_unknown, class unknown: the adapter said so; or, with
//     ErrBrokenOff in the chain, the connection ended, or ctx did, before an
//     answer came; or the answer was a status that is no fault, as a handler
//     that throws makes in some languages.
//  5. invalid_fields or request_too_large, class permanent, with ErrNotSent in
//     the chain: the request cannot travel and was not sent.
//
// Texts of the adapter, in a response or a fault, come without the credentials of
// req; an address of a log page that holds them is dropped.
func (c *Client) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	p, err := requestToProto(req)
	if err == nil {
		err = checkSize(p)
	}
	if err != nil {
		return nil, notSent(opAddMessageLog, err)
	}
	scrub := scrubber(req.AuthHeader)
	answer, err := c.service.AddMessageLog(outgoing(ctx), p)
	if err != nil {
		return nil, fromError(ctx, opAddMessageLog, err, scrub)
	}
	out, err := answerFromProto(answer, scrub)
	if err != nil {
		f, _ := fault.As(err) // sdk.CheckLogID returns nothing else
		f.Op = opAddMessageLog
		return nil, f
	}
	return out, nil
}

// FindMessageLog asks the adapter for the records of an earlier AddMessageLog.
// Every error means "cannot tell". Without the capability the code is
// unsupported.
func (c *Client) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	p, err := findRequestToProto(req)
	if err == nil {
		err = checkSize(p)
	}
	if err != nil {
		return nil, notSent(opFindMessageLog, err)
	}
	scrub := scrubber(req.Original.AuthHeader)
	answer, err := c.service.FindMessageLog(outgoing(ctx), p)
	if err != nil {
		return nil, fromError(ctx, opFindMessageLog, err, scrub)
	}
	return foundFromProto(answer, time.Now(), scrub), nil
}

// CheckHealth asks whether the adapter can serve. A check that ends with a status
// that is no fault is an answer: the process lives, and does not serve. An error
// with ErrBrokenOff in its chain means that it does not answer, any other is a
// fault of the adapter.
func (c *Client) CheckHealth(ctx context.Context) (*sdk.CheckHealthResponse, error) {
	p, err := c.service.CheckHealth(outgoing(ctx), &adapterv1.CheckHealthRequest{})
	if err != nil {
		f := fromError(ctx, opCheckHealth, err, unscrubbed)
		if f.Code == fault.Outcome && !errors.Is(f, ErrBrokenOff) {
			return sdk.NotServing("the adapter's health check failed"), nil
		}
		return nil, f
	}
	return healthFromProto(p), nil
}

// Shutdown asks the process to end and returns when its server has. Calls in
// flight are cut off: drain first. A connection that breaks is what was asked
// for and no error.
func (c *Client) Shutdown(ctx context.Context) error {
	err := c.conn.Invoke(ctx, shutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	if err == nil || status.Code(err) == codes.Unavailable {
		return nil
	}
	return fromError(ctx, opShutdown, err, unscrubbed)
}

// checkSize refuses what the adapter would refuse, while it surely is not sent.
func checkSize(p proto.Message) error {
	if proto.Size(p) > MaxRequestBytes {
		return fault.New(fault.RequestTooLarge, "the request is larger than an adapter accepts")
	}
	return nil
}

// ErrNotSent is in the chain of a fault of the Client when the request itself
// cannot travel and was not sent: no adapter has seen it, and none was asked.
var ErrNotSent = errors.New("the request was not sent")

// notSent returns the fault for a request that cannot travel.
func notSent(op string, err error) *fault.Error {
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.InvalidFields, err.Error())
	}
	f.Op, f.Err = op, errors.Join(ErrNotSent, f.Err)
	return f
}
