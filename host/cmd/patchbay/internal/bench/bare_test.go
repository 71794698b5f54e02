package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echoPlugin is the least that can be served over go-plugin and gRPC: a method
// that takes bytes and answers with the first of them, as many as a log ID has.
type echoPlugin struct{ plugin.NetRPCUnsupportedPlugin }

var (
	echoHandshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BENCH_ECHO", MagicCookieValue: "echo"}
	echoPlugins   = plugin.PluginSet{roleEcho: echoPlugin{}}
	echoService   = grpc.ServiceDesc{
		ServiceName: "patchbay.bench.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Echo",
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				in := new(wrapperspb.BytesValue)
				if err := decode(in); err != nil {
					return nil, err
				}
				return wrapperspb.Bytes(in.GetValue()[:echoBytes]), nil
			},
		}},
	}
)

const (
	echoMethod = "/patchbay.bench.Echo/Echo"
	echoBytes  = 26
)

// GRPCServer implements plugin.GRPCPlugin.
func (echoPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&echoService, struct{}{})
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (echoPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

func serveEcho() {
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: echoHandshake, Plugins: echoPlugins, GRPCServer: plugin.DefaultGRPCServer})
}

// openBare starts the echo plugin in the plainest way that go-plugin has.
func openBare(tb testing.TB) *path {
	tb.Helper()
	cmd := exec.Command(self(tb))
	cmd.Env = append(os.Environ(), envRole+"="+roleEcho)
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: echoHandshake, Plugins: echoPlugins, Cmd: cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
	})
	tb.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := protocol.Dispense(roleEcho)
	if err != nil {
		tb.Fatal(err)
	}
	conn := raw.(*grpc.ClientConn)
	return &path{name: "A  bare go-plugin call, 2 KiB", call: func(ctx context.Context, n int64) error {
		payload := fmt.Appendf(make([]byte, 0, messageBytes), "%026d", n)
		answer := new(wrapperspb.BytesValue)
		if err := conn.Invoke(ctx, echoMethod, wrapperspb.Bytes(payload[:messageBytes]), answer); err != nil {
			return err
		}
		if !bytes.Equal(answer.GetValue(), payload) {
			return errors.New("the echo is another call's")
		}
		return nil
	}}
}
