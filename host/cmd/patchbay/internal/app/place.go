package app

import (
	"context"

	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// place is one place in a running process: a relay.Process.
type place struct {
	lease     *lease
	requestID string
}

var _ relay.Process = (*place)(nil)

// AddMessageLog implements relay.Process.
func (p *place) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return p.lease.Instance().Client().AddMessageLog(rpc.WithRequestID(ctx, p.requestID), req)
}

// FindMessageLog implements relay.Process.
func (p *place) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return p.lease.Instance().Client().FindMessageLog(rpc.WithRequestID(ctx, p.requestID), req)
}

// CanFind implements relay.Process.
func (p *place) CanFind() bool { return p.lease.Instance().Info().Can(sdk.CanFindMessageLog) }

// Done implements relay.Process.
func (p *place) Done() <-chan struct{} { return p.lease.Instance().Done() }

// Condemn implements relay.Process. A cause that crash reports do not know reads
// as a hang.
func (p *place) Condemn(cause string) {
	c := supervisor.Cause(cause)
	if c.Remedy() == "" {
		c = supervisor.Hang
	}
	p.lease.Condemn(c)
}

// Release implements relay.Process.
func (p *place) Release(answered bool) { p.lease.Release(answered) }
