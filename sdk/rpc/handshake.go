package rpc

import (
	"context"
	"errors"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/patchbay-crm/patchbay/sdk"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// Handshake tells an adapter that it was started by a Patchbay host. The cookie
// is no secret: it keeps people from starting an adapter by hand and wondering
// why nothing happens. Its ProtocolVersion is not used, see Plugins.
var Handshake = plugin.HandshakeConfig{
	MagicCookieKey:   "PATCHBAY_ADAPTER_COOKIE",
	MagicCookieValue: "b6c9a1f0-patchbay-adapter",
}

// PluginName is the one name under which an adapter serves and a host dispenses.
const PluginName = "adapter"

const (
	// MaxRequestBytes is the largest request that an adapter accepts, encoded.
	MaxRequestBytes = 16 << 20
	// MaxResponseBytes is the largest answer that a host accepts, encoded.
	MaxResponseBytes = 1 << 20
	// maxTrailerBytes bounds the headers and trailers of an answer, in which
	// faults travel.
	maxTrailerBytes = 64 << 10
)

// Plugins returns the sets for go-plugin's VersionedPlugins, one for each
// protocol version that this SDK speaks. A host passes nil and dispenses a
// *Client under PluginName.
func Plugins(server *Server) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{
		sdk.ProtocolVersion: {PluginName: &pluginV1{server: server}},
	}
}

// pluginV1 joins protocol version 1 to go-plugin.
type pluginV1 struct {
	plugin.NetRPCUnsupportedPlugin
	server *Server // nil in a host
}

var _ plugin.GRPCPlugin = (*pluginV1)(nil)

// GRPCServer registers the adapter's service.
func (p *pluginV1) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if p.server == nil {
		return errors.New("no adapter to serve")
	}
	adapterv1.RegisterAdapterServiceServer(s, p.server)
	return nil
}

// GRPCClient returns a *Client.
func (p *pluginV1) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return NewClient(conn), nil
}

// DialOptions returns the options with which a host connects: no retries and no
// service config, so that one call is one request, and bounded answers.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithMaxHeaderListSize(maxTrailerBytes),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxResponseBytes),
			grpc.MaxCallSendMsgSize(MaxRequestBytes),
		),
		// An idle connection is kept: its end is how a host notices a death.
		grpc.WithIdleTimeout(0),
	}
}

// NewGRPCServer returns a gRPC server with the bounds of the contract, in the
// form that go-plugin's ServeConfig asks for.
func NewGRPCServer(opts []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(MaxRequestBytes))...)
}
