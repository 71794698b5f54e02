package sdktest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is an adapter that does everything right, with a CRM in memory.
type memory struct {
	mu      sync.Mutex
	records map[string][]string // idempotency key → log IDs
	count   int
}

func newMemory() *memory { return &memory{records: map[string][]string{}} }

func (m *memory) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	if ctx.Err() != nil {
		return nil, fault.Unavailable(0, "nobody listens")
	}
	if time.Now().After(req.NotAfter) {
		return nil, fault.Unavailable(0, "too late to send")
	}
	if _, err := req.ContactInfo.ID.Int64(); err != nil {
		return nil, fault.Rejected("contact id must be a number")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	id := fmt.Sprint("log-", m.count)
	m.records[req.IdempotencyKey] = append(m.records[req.IdempotencyKey], id)
	return sdk.Logged(id), nil
}

func (m *memory) FindMessageLog(_ context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ids := m.records[req.IdempotencyKey]; len(ids) > 0 {
		return sdk.Found(slices.Clone(ids)...), nil
	}
	return sdk.NotFound(time.Now()), nil
}

func (m *memory) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}

func (m *memory) writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

func TestGoodAdapterPasses(t *testing.T) {
	crm := newMemory()
	Run(t, func(*testing.T) sdk.Adapter { return crm },
		WithWrites(crm.writes), WithRequest(func() *sdk.AddMessageLogRequest { return Request() }))
	if crm.writes() < 100 {
		t.Errorf("only %d records were made", crm.writes())
	}
}

func TestAdapterWithoutExtrasPasses(t *testing.T) {
	Run(t, func(*testing.T) sdk.Adapter { return plain{newMemory()} }, Except("tried above", "concurrent"))
}

// plain hides what an adapter can do besides.
type plain struct{ sdk.Adapter }

// spoilt does one thing wrong.
type spoilt struct {
	*memory
	add    func(*memory, context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)
	find   func(*memory, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error)
	health func() (*sdk.CheckHealthResponse, error)
}

func (s *spoilt) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	if s.add == nil {
		return s.memory.AddMessageLog(ctx, req)
	}
	return s.add(s.memory, ctx, req)
}

func (s *spoilt) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	if s.find == nil {
		return s.memory.FindMessageLog(ctx, req)
	}
	return s.find(s.memory, req)
}

func (s *spoilt) CheckHealth(ctx context.Context, req *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	if s.health == nil {
		return s.memory.CheckHealth(ctx, req)
	}
	return s.health()
}

type (
	addFunc  = func(*memory, context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)
	findFunc = func(*memory, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error)
)

// adding spoils AddMessageLog: before sees the request first and may answer it.
func adding(before func(*sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)) addFunc {
	return func(m *memory, ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		if resp, err := before(req); resp != nil || err != nil {
			return resp, err
		}
		return m.AddMessageLog(ctx, req)
	}
}

// TestEachCaseCanFail has an adapter for each rule that breaks it, and wants the
// case of that rule to say so, in both modes.
func TestEachCaseCanFail(t *testing.T) {
	const both = ""
	answer := func(resp *sdk.AddMessageLogResponse, err error) addFunc {
		return func(*memory, context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return resp, err
		}
	}
	finding := func(resp *sdk.FindMessageLogResponse, err error) findFunc {
		return func(*memory, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) { return resp, err }
	}
	wide := func(req *sdk.AddMessageLogRequest) { req.NotAfter = time.Now().Add(time.Minute) }
	for name, c := range map[string]struct {
		failing, mode string // the case, and the mode in which it can see the fault
		adapter       *spoilt
	}{
		"empty log ID":   {"single-message", both, &spoilt{add: answer(sdk.Logged(""), nil)}},
		"nothing":        {"single-message", both, &spoilt{add: answer(nil, nil)}},
		"always refuses": {"single-message", both, &spoilt{add: answer(nil, fault.Rejected("no"))}},
		"refuses groups": {"group", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, refuseIf(len(r.Messages) > 1)
		})}},
		"needs a text": {"any-message", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, plainIf(r.Messages[0].Subject == "")
		})}},
		"plain error": {"unusual-ids", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			_, err := r.ContactInfo.ID.Int64()
			return nil, err
		})}},
		"gives up on emoji": {"any-text", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, plainIf(strings.Contains(r.Messages[0].Subject, "👩"))
		})}},
		"log ID from text": {"any-text", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return sdk.Logged(r.Messages[0].Subject), nil
		})}},
		"knows names only": {"zones", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, refuseIf(r.Zone == "")
		})}},
		"secret in an error": {"secret", "in-process", &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, errors.New(r.AuthHeader.Reveal())
		})}},
		"secret in a log": {"secret", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			slog.Info("m", "h", r.AuthHeader.Reveal())
			return nil, nil
		})}},
		"secret in an answer": {"secret", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return sdk.Logged(r.AuthHeader.Reveal()), nil
		})}},
		"sends too late":    {"send-window", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) { return sdk.Logged("late"), nil })}},
		"too late, unclear": {"send-window", both, &spoilt{add: answer(nil, errors.New("too late"))}},
		"writes, then fails": {"send-window", both, &spoilt{add: func(m *memory, ctx context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			late := *r
			wide(&late)
			_, _ = m.AddMessageLog(ctx, &late)
			return nil, fault.Unavailable(0, "too late")
		}}},
		"one log ID for all": {"concurrent", both, &spoilt{add: answer(sdk.Logged("1"), nil)}},
		"changes messages": {"request-unchanged", "in-process", &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			slices.Reverse(r.Messages)
			return nil, nil
		})}},
		"changes raw bytes": {"request-unchanged", "in-process", &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			r.Messages[0].Raw[0] = ' '
			return nil, nil
		})}},
		"rejects after a write": {"definite-faults", both, &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			r.CRMCall().State.Sent()
			_, err := r.ContactInfo.ID.Int64()
			return nil, refuseIf(err != nil)
		})}},
		"silent health":    {"health", both, &spoilt{health: func() (*sdk.CheckHealthResponse, error) { return &sdk.CheckHealthResponse{}, nil }}},
		"failing health":   {"health", "in-process", &spoilt{health: func() (*sdk.CheckHealthResponse, error) { return nil, errors.New("sick") }}},
		"finds nothing":    {"find", both, &spoilt{find: finding(sdk.Found("another"), nil)}},
		"search fails":     {"find", both, &spoilt{find: finding(nil, errors.New("no search"))}},
		"search is silent": {"find", both, &spoilt{find: finding(nil, nil)}},
		"finds everything": {"find", both, &spoilt{find: func(m *memory, _ *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
			return sdk.Found("log-1"), nil
		}}},
	} {
		for _, mode := range modes {
			if c.mode != both && c.mode != mode.name {
				continue
			}
			t.Run(name+"/"+mode.name, func(t *testing.T) {
				a := *c.adapter
				a.memory = newMemory()
				s := &suite{request: func() *sdk.AddMessageLogRequest { return Request() }, writes: a.writes}
				found := runCase(t, c.failing, &env{suite: s, adapter: &a, target: mode.reach(t, &a)})
				if len(found) == 0 {
					t.Errorf("case %s finds nothing wrong", c.failing)
				}
			})
		}
	}
}

func refuseIf(wrong bool) error {
	if wrong {
		return fault.Rejected("no")
	}
	return nil
}

func plainIf(wrong bool) error {
	if wrong {
		return errors.New("cannot")
	}
	return nil
}

// runCase runs one case and returns what it reports.
func runCase(t *testing.T, name string, e *env) []string {
	t.Helper()
	i := slices.IndexFunc(cases, func(c testCase) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("there is no case %q", name)
	}
	r := &fakeReporter{t: t}
	done := make(chan struct{})
	go func() { // a goroutine of its own, which Fatalf can end
		defer close(done)
		cases[i].run(r, e)
	}()
	<-done
	return r.found
}

type fakeReporter struct {
	t     *testing.T
	mu    sync.Mutex
	found []string
}

func (r *fakeReporter) Helper()                  {}
func (r *fakeReporter) Context() context.Context { return r.t.Context() }
func (r *fakeReporter) Cleanup(f func())         { r.t.Cleanup(f) }
func (r *fakeReporter) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

func (r *fakeReporter) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
