package sdktest

import (
	"context"
	"slices"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
)

// Option changes what Run does.
type Option func(*suite)

// WithRequest gives the requests that the suite starts from, for adapters that
// need certain custom fields, settings or contact ids. newRequest is called for each
// case and returns a request that the adapter's CRM accepts; the suite puts its
// own messages, zone, secret and keys into it. Without it that is Request.
func WithRequest(newRequest func() *sdk.AddMessageLogRequest) Option {
	return func(s *suite) { s.request = newRequest }
}

// WithWrites lets the suite count what reached the adapter's CRM: writes returns
// the number of requests so far that may have changed it, over all adapters that
// newAdapter made.
func WithWrites(writes func() int) Option { return func(s *suite) { s.writes = writes } }

// Except leaves cases out, by their names. The reason is logged.
func Except(reason string, names ...string) Option {
	return func(s *suite) {
		for _, name := range names {
			s.except[name] = reason
		}
	}
}

type suite struct {
	newAdapter func(*testing.T) sdk.Adapter
	request    func() *sdk.AddMessageLogRequest
	writes     func() int
	except     map[string]string // case → reason
}

// Run holds an adapter against the contract of package sdk. Each case runs in
// this process and over a real gRPC connection, each time with an adapter of its
// own from newAdapter, which also provides a fake CRM where one is needed. A CRM
// that accepts Request answers every case; see the options for others.
//
// Some cases replace slog's default logger, so neither Run nor newAdapter may be
// used in parallel with tests that need it.
func Run(t *testing.T, newAdapter func(t *testing.T) sdk.Adapter, opts ...Option) {
	t.Helper()
	s := &suite{
		newAdapter: newAdapter,
		request:    func() *sdk.AddMessageLogRequest { return Request() },
		except:     map[string]string{},
	}
	for _, opt := range opts {
		opt(s)
	}
	for name := range s.except {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.name == name }) {
			t.Errorf("there is no case %q to leave out", name)
		}
	}
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			for _, c := range cases {
				if reason, left := s.except[c.name]; left {
					t.Logf("case %s is left out: %s", c.name, reason)
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					a := newAdapter(t)
					c.run(t, &env{suite: s, adapter: a, target: mode.reach(t, a)})
				})
			}
		})
	}
}

// target is an adapter as a case sees it: itself, or the client's end of a
// connection to it.
type target interface {
	AddMessageLog(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)
	FindMessageLog(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error)
	CheckHealth(context.Context) (*sdk.CheckHealthResponse, error)
	Info(context.Context) (sdk.Info, error)
}

var modes = []struct {
	name  string
	reach func(*testing.T, sdk.Adapter) target
}{
	{"in-process", func(_ *testing.T, a sdk.Adapter) target { return direct{a} }},
	{"grpc", func(t *testing.T, a sdk.Adapter) target { return Pair(t, a) }},
}

// direct reaches an adapter in this process.
type direct struct{ sdk.Adapter }

func (d direct) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	if f, ok := d.Adapter.(sdk.MessageLogFinder); ok {
		return f.FindMessageLog(ctx, req)
	}
	return nil, errUnsupported
}

func (d direct) CheckHealth(ctx context.Context) (*sdk.CheckHealthResponse, error) {
	if h, ok := d.Adapter.(sdk.HealthChecker); ok {
		return h.CheckHealth(ctx, &sdk.CheckHealthRequest{})
	}
	return sdk.Serving(), nil
}

func (d direct) Info(context.Context) (sdk.Info, error) {
	return sdk.Info{SDK: "in-process", Capabilities: sdk.Capabilities(d.Adapter)}, nil
}

// reporter is what a case needs of a *testing.T.
type reporter interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// testCase is one rule of the contract.
type testCase struct {
	name string
	run  func(reporter, *env)
}

// env is what one case works with.
type env struct {
	*suite
	adapter sdk.Adapter
	target  target
}

// with returns a request that carries these messages.
func (e *env) with(messages ...sdk.Message) *sdk.AddMessageLogRequest {
	req := *e.request()
	req.Messages = messages
	req.IdempotencyKey = key(messages)
	if req.Zone != "" {
		req.OffsetSeconds = sdk.Zone{Name: req.Zone}.OffsetAt(messages[0].CreationTime)
	}
	return &req
}
