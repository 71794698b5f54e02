package sdktest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	records []stored
}

type stored struct{ id, key, text string }

func newMemory() *memory { return new(memory) }

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
	return sdk.Logged(m.store(req.IdempotencyKey, req.Messages...)), nil
}

// store makes one record and returns its id.
func (m *memory) store(key string, messages ...sdk.Message) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := stored{id: fmt.Sprint("log-", len(m.records)+1), key: key}
	for _, message := range messages {
		s.text += message.Subject + "\n"
	}
	m.records = append(m.records, s)
	return s.id
}

func (m *memory) FindMessageLog(_ context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	asOf := time.Now()
	if ids := m.ids(req.IdempotencyKey); len(ids) > 0 {
		return sdk.Found(ids...), nil
	}
	return sdk.NotFound(asOf), nil
}

// ids returns the records with that key.
func (m *memory) ids(key string) (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.records {
		if s.key == key {
			ids = append(ids, s.id)
		}
	}
	return ids
}

func (m *memory) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}

func (m *memory) writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

// texts returns what the CRM stored.
func (m *memory) texts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, s := range m.records {
		out = append(out, s.key+"\n"+s.text)
	}
	return out
}

func TestGoodAdapterPasses(t *testing.T) {
	crm := newMemory()
	Run(t, func(*testing.T) sdk.Adapter { return crm },
		WithWrites(crm.writes), WithRecords(crm.texts), WithSearchLag(0), WithRequest(func() *sdk.AddMessageLogRequest { return Request() }))
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

type addFunc = func(*memory, context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)

// adding spoils AddMessageLog: before sees the request first and may answer it.
func adding(before func(*sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)) addFunc {
	return func(m *memory, ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		if resp, err := before(req); resp != nil || err != nil {
			return resp, err
		}
		return m.AddMessageLog(ctx, req)
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

// envOf returns what a case works with that tries the adapter with the CRM.
func envOf(t *testing.T, a sdk.Adapter, crm *memory, reach target, opts ...Option) *env {
	t.Helper()
	opts = append([]Option{WithWrites(crm.writes), WithRecords(crm.texts)}, opts...)
	return newEnv(t.Name(), newSuite(opts...), a, reach, captureLog(t))
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
		defer e.inspectLog(r)
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
func (r *fakeReporter) Logf(string, ...any)      {}
func (r *fakeReporter) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

func (r *fakeReporter) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
