package sdktest

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/patchbay-crm/patchbay/sdk"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// Pair serves the adapter in this process and returns a client that reaches it
// over gRPC on a Unix socket, as a host does. Both end with the test.
func Pair(t *testing.T, a sdk.Adapter) *rpc.Client {
	t.Helper()
	return PairService(t, rpc.NewServer(a, nil))
}

// PairService is Pair for an implementation of the wire's service itself, as
// written in another language.
func PairService(t *testing.T, service adapterv1.AdapterServiceServer) *rpc.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "pb") // t.TempDir may be too long for a socket's path
	if err != nil {
		t.Fatalf("make a directory for the socket: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	server := rpc.NewGRPCServer(nil)
	adapterv1.RegisterAdapterServiceServer(server, service)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	options := append(rpc.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("unix:"+path, options...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("close the connection: %v", err)
		}
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve the adapter: %v", err)
		}
	})
	return rpc.NewClient(conn)
}
