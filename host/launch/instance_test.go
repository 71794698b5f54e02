package launch

import (
	"context"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// failing is a connection on which every call fails in one way.
type failing struct {
	grpc.ClientConnInterface
	err error
}

func (f failing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return f.err }

// TestHealthToldByAFault tells an adapter's own fault, which is an answer, from
// the transport's, which is none.
func TestHealthToldByAFault(t *testing.T) {
	t.Parallel()
	own, err := status.New(codes.Internal, "no licence").WithDetails(&errdetails.ErrorInfo{Domain: "patchbay", Reason: "adapter_fault"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err    error
		answer string // "" when there is none
	}{
		"adapter's":   {own.Err(), "no licence"},
		"thrown":      {status.Error(codes.Unknown, "TypeError"), "the adapter's health check failed"},
		"transport's": {status.Error(codes.Unavailable, "EOF"), ""},
		"deadline":    {status.Error(codes.DeadlineExceeded, "late"), ""},
		"given up":    {status.Error(codes.Canceled, "context canceled"), ""},
	} {
		inst := &Instance{process: &process{}, client: rpc.NewClient(failing{err: c.err})}
		health, err := inst.Health(t.Context())
		if (err == nil) != (c.answer != "") || health.Serving || health.Message != c.answer {
			t.Errorf("%s: %+v, %v", name, health, err)
		}
	}
}
