package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

const token = "marked-token-71c2"

// adapterFunc is an adapter that is one function.
type adapterFunc func(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)

func (f adapterFunc) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return f(ctx, req)
}

// finder is an adapter that can search and tell its health, by functions.
type finder struct {
	adapterFunc
	find   func(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error)
	health func(context.Context) (*sdk.CheckHealthResponse, error)
}

func (f finder) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return f.find(ctx, req)
}

func (f finder) CheckHealth(ctx context.Context, _ *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return f.health(ctx)
}

func request() *sdk.AddMessageLogRequest {
	req := sdktest.Request()
	req.AuthHeader = sdk.NewSecret("Bearer " + token)
	return req
}

// pair returns a client of the adapter and what the adapter's side logs.
func pair(t *testing.T, a sdk.Adapter) (*rpc.Client, *syncBuffer) {
	t.Helper()
	var logged syncBuffer
	return sdktest.PairService(t, rpc.NewServer(a, slog.New(slog.NewTextHandler(&logged, nil)))), &logged
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestRequestArrivesWhole sends everything a request can hold and looks at what
// the adapter gets.
func TestRequestArrivesWhole(t *testing.T) {
	t.Parallel()
	sent := request()
	sent.User = sdktest.User(`{ "id" : 42, "hostname":"crm.example.com", "zz":[1e2, "\u00e9"] }`)
	sent.ContactInfo = sdktest.Contact(`{"id": 9007199254740993 ,"type":"person","name":"A<b>"}`)
	sent.AdditionalSubmission = sdk.Values{"deals": sdk.RawValue([]byte("88001")), "note": sdk.TextValue("a<b>&")}
	sent.Settings = sdk.Values{"activityType": sdk.TextValue("sms")}
	sent.RecordingLink = "https://media.example.com/1"
	sent.Messages = append(sent.Messages, sdktest.Message(5, "second"))
	var got *sdk.AddMessageLogRequest
	var requestID string
	client, _ := pair(t, adapterFunc(func(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		got, requestID = req, rpc.RequestID(ctx)
		return &sdk.AddMessageLogResponse{
			LogID: "5512", LogURL: "https://crm.example.com/a/5512",
			ReturnMessage: &sdk.ReturnMessage{Message: "Logged", MessageType: sdk.Success, TTL: 3 * time.Second},
		}, nil
	}))
	resp, err := client.AddMessageLog(rpc.WithRequestID(t.Context(), "req-1"), sent)
	if err != nil {
		t.Fatal(err)
	}
	if resp.LogID != "5512" || resp.LogURL != "https://crm.example.com/a/5512" || *resp.ReturnMessage != (sdk.ReturnMessage{Message: "Logged", MessageType: sdk.Success, TTL: 3 * time.Second}) {
		t.Errorf("the answer arrived as %+v", resp)
	}
	if requestID != "req-1" {
		t.Errorf("the request id arrived as %q", requestID)
	}
	if got.AuthHeader.Reveal() != sent.AuthHeader.Reveal() || !got.NotAfter.Equal(sent.NotAfter) || !got.Deadline.Equal(sent.Deadline) {
		t.Errorf("secret, window or deadline differ")
	}
	if !bytes.Equal(got.User.Raw, sent.User.Raw) || !got.User.ID.IsNumber() || got.User.Hostname != "crm.example.com" {
		t.Errorf("the user arrived as %s, %+v", got.User.Raw, got.User)
	}
	if !bytes.Equal(got.ContactInfo.Raw, sent.ContactInfo.Raw) || got.ContactInfo.ID.String() != "9007199254740993" || !got.ContactInfo.ID.IsNumber() {
		t.Errorf("the contact arrived as %s, %+v", got.ContactInfo.Raw, got.ContactInfo)
	}
	if got.Field("deals").String() != "88001" || string(got.Field("note").Raw()) != string(sent.Field("note").Raw()) || got.Setting("activityType").String() != "sms" {
		t.Errorf("values arrived as %v, %v", got.AdditionalSubmission, got.Settings)
	}
	if got.RecordingLink != sent.RecordingLink || got.Zone != sent.Zone || got.OffsetSeconds != sent.OffsetSeconds || got.Attempt != 1 || got.Tenant != "acme" {
		t.Errorf("arrived as %+v", got)
	}
	for i, m := range sent.Messages {
		if !bytes.Equal(got.Messages[i].Raw, m.Raw) {
			t.Errorf("message %d is not the same byte for byte", i)
		}
	}
	first := got.Messages[0]
	if first.ConversationID.String() != "5578984350117917661" || first.Subject != "Flight information" || first.To[0].Location != "San Mateo, CA" || first.Attachments[0].ID.String() != "60279564004" {
		t.Errorf("the seed's message arrived as %+v", first)
	}
}

// TestFailuresOfAdapters shows what a host is told of each way in which adapter
// code fails, and that the secret is in neither the fault nor the log.
func TestFailuresOfAdapters(t *testing.T) {
	t.Parallel()
	type req = *sdk.AddMessageLogRequest
	leak := errors.New("dial https://crm.example.com/?key=" + token + ": refused")
	for name, c := range map[string]struct {
		fail   func(req) (*sdk.AddMessageLogResponse, error)
		code   fault.Code
		class  fault.Class
		logged string
	}{
		"plain error":    {func(req) (*sdk.AddMessageLogResponse, error) { return nil, leak }, fault.AdapterFault, fault.Unknown, "key=[redacted]"},
		"plain, watched": {func(r req) (*sdk.AddMessageLogResponse, error) { r.CRMCall().State.Watch(); return nil, leak }, fault.AdapterFault, fault.Permanent, "key=[redacted]"},
		"plain, sent":    {func(r req) (*sdk.AddMessageLogResponse, error) { wrote(r); return nil, leak }, fault.AdapterFault, fault.Unknown, "key=[redacted]"},
		"deadline":       {func(req) (*sdk.AddMessageLogResponse, error) { return nil, context.DeadlineExceeded }, fault.AdapterFault, fault.Unknown, "deadline exceeded"},
		"deadline, watched": {func(r req) (*sdk.AddMessageLogResponse, error) {
			r.CRMCall().State.Watch()
			return nil, context.Canceled
		}, fault.AdapterFault, fault.Permanent, "canceled"},
		"a status of gRPC's": {func(req) (*sdk.AddMessageLogResponse, error) { return nil, status.Error(codes.NotFound, token) }, fault.AdapterFault, fault.Unknown, "[redacted]"},
		"panic":              {func(req) (*sdk.AddMessageLogResponse, error) { panic("lost " + token) }, fault.AdapterFault, fault.Unknown, "wire_test.go"},
		"panic, watched":     {func(r req) (*sdk.AddMessageLogResponse, error) { r.CRMCall().State.Watch(); panic(leak) }, fault.AdapterFault, fault.Permanent, "key=[redacted]"},
		"panic, sent":        {func(r req) (*sdk.AddMessageLogResponse, error) { wrote(r); panic(leak) }, fault.AdapterFault, fault.Unknown, "wire_test.go"},
		"nil dereference":    {func(req) (*sdk.AddMessageLogResponse, error) { var m *sdk.Message; return sdk.Logged(m.Subject), nil }, fault.AdapterFault, fault.Unknown, "nil pointer"}, //nolint:govet // that is the case
		"panic of an error":  {func(req) (*sdk.AddMessageLogResponse, error) { return nil, badError{} }, fault.AdapterFault, fault.Unknown, "no text"},
		"nil fault":          {func(req) (*sdk.AddMessageLogResponse, error) { var f *fault.Error; return nil, f }, fault.AdapterFault, fault.Unknown, "nil fault"},
		"nothing at all":     {func(req) (*sdk.AddMessageLogResponse, error) { return nil, nil }, fault.AdapterFault, fault.Unknown, ""},
		"empty log ID":       {func(req) (*sdk.AddMessageLogResponse, error) { return sdk.Logged(""), nil }, fault.AdapterFault, fault.Unknown, ""},
		"log ID not UTF-8":   {func(req) (*sdk.AddMessageLogResponse, error) { return sdk.Logged("\xff"), nil }, fault.AdapterFault, fault.Unknown, ""},
		"fault": {func(req) (*sdk.AddMessageLogResponse, error) {
			return nil, fault.Unauthorized("token " + token + " expired")
		}, fault.CRMUnauthorized, fault.Permanent, ""},
		"wrapped fault": {func(req) (*sdk.AddMessageLogResponse, error) {
			return nil, fmt.Errorf("create: %w", fault.OutcomeUnknown(leak))
		}, fault.Outcome, fault.Unknown, "key=[redacted]"},
		"rejected after a write": {func(r req) (*sdk.AddMessageLogResponse, error) {
			wrote(r)
			return nil, fault.Rejected("contact " + token + " is gone")
		}, fault.Outcome, fault.Unknown, "then: contact [redacted] is gone: crm_rejected"},
		"retryable after a write": {func(r req) (*sdk.AddMessageLogResponse, error) {
			wrote(r)
			return nil, fmt.Errorf("associate: %w", fault.RetryAfter(time.Second, "slow down"))
		}, fault.Outcome, fault.Unknown, "then: slow down: rate_limited"},
		"rejected after a refused write": {func(r req) (*sdk.AddMessageLogResponse, error) {
			wrote(r)
			r.CRMCall().State.NotActed()
			return nil, fault.Rejected("no such contact")
		}, fault.CRMRejected, fault.Permanent, ""},
		"code not allowed": {func(req) (*sdk.AddMessageLogResponse, error) {
			return nil, fault.New(fault.AlreadyLogged, "done before")
		}, fault.AdapterFault, fault.Permanent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := true
			client, logged := pair(t, adapterFunc(func(_ context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				if broken {
					broken = false
					return c.fail(r)
				}
				return sdk.Logged("1"), nil
			}))
			_, err := client.AddMessageLog(t.Context(), request())
			f, ok := fault.As(err)
			if !ok || f.Code != c.code || f.Class != c.class || f.Op != "adapter.AddMessageLog" {
				t.Errorf("the host is told %#v, want %s of class %s", err, c.code, c.class)
			}
			if c.logged == "" && logged.String() != "" || !strings.Contains(logged.String(), c.logged) {
				t.Errorf("logged %q, want %q in it", logged.String(), c.logged)
			}
			if told := fmt.Sprintf("%v %+v", err, f); strings.Contains(logged.String()+told, token) || strings.Contains(told, "crm.example.com") {
				t.Errorf("the secret shows, or the text of an error travels: %v\n%s", err, logged.String())
			}
			if _, err := client.AddMessageLog(t.Context(), request()); err != nil {
				t.Errorf("the next call failed: %v", err)
			}
		})
	}
}

func wrote(r *sdk.AddMessageLogRequest) {
	state := r.CRMCall().State
	state.Watch()
	state.Sent()
}

// badError panics when it is read.
type badError struct{}

func (badError) Error() string { panic("no text") }

// TestNoRetries offers gRPC a reason and a policy to call again.
func TestNoRetries(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{add: func() (*adapterv1.AddMessageLogResponse, error) { return nil, status.Error(codes.Unavailable, "again") }}
	server := rpc.NewGRPCServer(nil)
	adapterv1.RegisterAdapterServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	const policy = `{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.001s",
		"maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`
	conn, err := grpc.NewClient(listener.Addr().String(), append(rpc.DialOptions(),
		grpc.WithDefaultServiceConfig(policy), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rpc.NewClient(conn).AddMessageLog(t.Context(), request())
	if n := s.calls.Load(); n != 1 || fault.ClassOf(err) != fault.Unknown {
		t.Errorf("called %d times, %v", n, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	server.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSizes shows that more travels than gRPC takes by default, and that what is
// too large is refused unsent.
func TestSizes(t *testing.T) {
	t.Parallel()
	client, _ := pair(t, adapterFunc(func(_ context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		return sdk.Logged(fmt.Sprint(len(r.Messages[0].Subject))), nil
	}))
	const size = 5 << 20
	if resp, err := client.AddMessageLog(t.Context(), sdktest.Request(sdktest.Message(1, strings.Repeat("x", size)))); err != nil || resp.LogID != fmt.Sprint(size) {
		t.Errorf("%v, %v", resp, err)
	}
	large := request()
	large.Messages[0].Raw = make([]byte, rpc.MaxRequestBytes)
	_, err := client.AddMessageLog(t.Context(), large)
	if fault.CodeOf(err) != fault.RequestTooLarge || fault.ClassOf(err) != fault.Permanent || !errors.Is(err, rpc.ErrNotSent) {
		t.Errorf("%v", err)
	}
	odd := request()
	odd.Zone = "\xff"
	if _, err = client.AddMessageLog(t.Context(), odd); fault.CodeOf(err) != fault.InvalidFields || fault.ClassOf(err) != fault.Permanent || !errors.Is(err, rpc.ErrNotSent) {
		t.Errorf("%v", err)
	}
	find := sdktest.FindRequest(odd)
	if _, err = client.FindMessageLog(t.Context(), find); fault.CodeOf(err) != fault.InvalidFields || !errors.Is(err, rpc.ErrNotSent) {
		t.Errorf("%v", err)
	}
	refusing, _ := pair(t, adapterFunc(func(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		return nil, fault.New(fault.CRMRejected, "no")
	}))
	if _, err = refusing.AddMessageLog(t.Context(), request()); errors.Is(err, rpc.ErrNotSent) {
		t.Errorf("a request that the adapter refused was sent: %v", err)
	}
}

// TestDeadline shows that the context governs, on both sides: the adapter's ends
// too, and whichever side notices first, the outcome is unknown.
func TestDeadline(t *testing.T) {
	t.Parallel()
	saw := make(chan error, 1)
	hold := make(chan struct{})
	client, _ := pair(t, adapterFunc(func(ctx context.Context, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		<-ctx.Done()
		saw <- ctx.Err()
		<-hold
		return nil, ctx.Err()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.AddMessageLog(ctx, request())
	if fault.CodeOf(err) != fault.Outcome || fault.ClassOf(err) != fault.Unknown || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, rpc.ErrBrokenOff) {
		t.Errorf("%v", err)
	}
	if err := <-saw; err == nil {
		t.Error("the adapter's context did not end")
	}
	close(hold)
}

// TestAdapterStillAnswers shows that an adapter which waits for its CRM until the end
// of its context is heard: the host need not take its process for hung.
func TestAdapterStillAnswers(t *testing.T) {
	t.Parallel()
	client, _ := pair(t, adapterFunc(func(ctx context.Context, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		<-ctx.Done()
		return nil, fault.New(fault.CRMUnavailable, "the CRM did not answer in time")
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := client.AddMessageLog(ctx, request()); fault.CodeOf(err) != fault.CRMUnavailable || errors.Is(err, rpc.ErrBrokenOff) {
		t.Errorf("%v", err)
	}
}

// TestAdapterNoticesTheEndFirst shows what the server makes of a context's error
// once the context has ended.
func TestAdapterNoticesTheEndFirst(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx   context.Context
		mark  func(*sdk.AddMessageLogRequest)
		code  codes.Code
		class string
	}{
		"ended":                {ended, func(*sdk.AddMessageLogRequest) {}, codes.Unknown, "unknown"},
		"ended, written":       {ended, func(r *sdk.AddMessageLogRequest) { wrote(r) }, codes.Unknown, "unknown"},
		"ended, not sent":      {ended, func(r *sdk.AddMessageLogRequest) { r.CRMCall().State.Watch() }, codes.Internal, "permanent"},
		"a context of its own": {t.Context(), func(*sdk.AddMessageLogRequest) {}, codes.Internal, "unknown"},
	} {
		server := rpc.NewServer(adapterFunc(func(_ context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			c.mark(r)
			return nil, fmt.Errorf("post: %w", context.Canceled)
		}), slog.New(slog.DiscardHandler))
		_, err := server.AddMessageLog(c.ctx, &adapterv1.AddMessageLogRequest{})
		st := status.Convert(err)
		if st.Code() != c.code || !strings.Contains(fmt.Sprint(st.Details()), c.class) {
			t.Errorf("%s: %v %v, want %s, %s", name, st, st.Details(), c.code, c.class)
		}
	}
}
