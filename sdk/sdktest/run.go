package sdktest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// Run holds an adapter against the contract of package sdk. Each case runs in
// this process and over a real gRPC connection, each time with an adapter of its
// own from newAdapter, which also provides a fake CRM where one is needed. The CRM
// must accept the suite's requests: what it refuses cannot be looked at, so the
// cases fail that want a success. See the options for CRMs that do not accept
// Request.
//
// Run replaces slog's default logger while a case runs, so neither Run nor
// newAdapter may be used in parallel with tests that need it. What was logged is
// shown when the case fails.
func Run(t *testing.T, newAdapter func(t *testing.T) sdk.Adapter, opts ...Option) {
	t.Helper()
	s := newSuite(opts...)
	for name := range s.except {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.name == name }) {
			t.Errorf("there is no case %q to leave out", name)
		}
	}
	before := s.count()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			for _, c := range cases {
				if reason, left := s.except[c.name]; left {
					t.Logf("case %s is left out: %s", c.name, reason)
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					logged := captureLog(t)
					t.Cleanup(func() { logged.show(t) })
					a := newAdapter(t)
					e := newEnv(t.Name(), s, a, mode.reach(t, a), logged)
					defer e.inspectLog(t)
					c.run(t, e)
				})
			}
		})
	}
	s.checkCounter(t, before)
}

// What the options do not say.
const (
	defaultLag      = 30 * time.Second // as run.reconcile.searchLag of the manifest
	defaultPatience = 10 * time.Second
)

// newSuite returns the suite that the options ask for.
func newSuite(opts ...Option) *suite {
	s := &suite{
		request: func() *sdk.AddMessageLogRequest { return Request() },
		perCall: 1, lag: defaultLag, patience: defaultPatience, except: map[string]string{},
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// suite is what the options say, and what its cases have in common.
type suite struct {
	request func() *sdk.AddMessageLogRequest
	writes  func() int      // nil when nothing counts
	perCall int             // the writes that one call may make
	records func() []string // nil when nothing can be read
	lag     time.Duration
	except  map[string]string // case → reason
	logged  atomic.Int64      // calls that succeeded

	patience time.Duration // how long a case waits for an answer
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
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// testCase is one rule of the contract.
type testCase struct {
	name    string
	demands string // as the package comment says it
	run     func(reporter, *env)
}
