package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// API is the HTTP API. Its methods may be called concurrently.
type API struct {
	cfg      Config
	deps     Deps
	mux      *http.ServeMux
	huma     huma.API
	metrics  *metrics
	spec     func() ([]byte, error) // the OpenAPI document, encoded when first asked for
	inFlight atomic.Int64
	draining atomic.Bool
	idle     chan struct{} // the last request in flight has left while draining
	arrivals arrivals
	troubles complaints // by what went wrong, and the route
}

// New returns the API, or every fault of cfg and deps at once.
func New(cfg Config, deps Deps) (*API, error) {
	if err := errors.Join(cfg.validate(), deps.validate()); err != nil {
		return nil, fmt.Errorf("configure the HTTP API: %w", err)
	}
	a := &API{cfg: cfg.withDefaults(), deps: deps.withDefaults(), mux: http.NewServeMux(), idle: make(chan struct{}, 1)}
	a.huma = humago.New(marker{a.mux}, humaConfig(a.cfg.Version))
	var err error
	if a.metrics, err = newMetrics(a.deps); err != nil {
		return nil, fmt.Errorf("configure the HTTP API: %w", err)
	}
	a.routes()
	a.spec = sync.OnceValues(func() ([]byte, error) { return finishSpec(a.huma.OpenAPI()) })
	return a, nil
}

// Handler returns the API as a handler.
func (a *API) Handler() http.Handler { return a }

// request is one request on its way.
type request struct {
	id    string
	w     *response
	http  *http.Request
	began time.Time
	// tenant is whose token it is, empty for the admin's; admin is whether it is
	// the admin's. Both are set by admit.
	tenant string
	admin  bool
	// body is the whole body, nil for routes that take none.
	body []byte
	// read is whether reading the body was tried.
	read bool
}

type requestKey struct{}

// from returns the request that ctx belongs to.
func from(ctx context.Context) *request {
	rq, _ := ctx.Value(requestKey{}).(*request)
	return rq
}

// response notes what is written to a ResponseWriter, and holds back what the
// router itself would write: its answers are not problems.
type response struct {
	http.ResponseWriter
	status  int
	matched bool // a route was found
}

// WriteHeader notes the status.
func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	if w.matched {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write writes the body of a route's answer.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if !w.matched {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// marker is a router that notes in the response that a route was found.
type marker struct{ *http.ServeMux }

// HandleFunc registers a route.
func (m marker) HandleFunc(pattern string, handle func(http.ResponseWriter, *http.Request)) {
	m.ServeMux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if rw, ok := w.(*response); ok {
			rw.matched = true
		}
		handle(w, r)
	})
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rq := &request{id: a.requestID(r), w: &response{ResponseWriter: w}, began: time.Now()}
	rq.http = r.WithContext(context.WithValue(r.Context(), requestKey{}, rq))
	h := w.Header()
	h.Set("X-Request-Id", rq.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer a.finish(rq)
	a.mux.ServeHTTP(rq.w, rq.http)
	if !rq.w.matched {
		a.unrouted(rq)
	}
}

// unrouted answers a request for which the router found no route.
func (a *API) unrouted(rq *request) {
	status := rq.w.status
	rq.w.matched, rq.w.status = true, 0
	rq.w.Header().Del("Location") // of a redirect to a tidier path
	if status == http.StatusMethodNotAllowed {
		a.refuse(rq, fault.New(fault.MethodNotAllowed, "")) // Allow is set
		return
	}
	a.refuse(rq, fault.New(fault.RouteNotFound, ""))
}

// finish ends a request: it turns a panic into a problem, counts and logs.
func (a *API) finish(rq *request) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		a.complain(rq, "request handler panicked", keyError, panicText(p), "stack", string(debug.Stack()))
		if rq.w.status != 0 { // half an answer is worse than none
			panic(http.ErrAbortHandler)
		}
		rq.w.matched = true
		a.refuse(rq, &fault.Error{Code: fault.Internal, Class: fault.Unknown, Err: errPanic})
	}
	a.boundLeftover(rq)
	a.metrics.answered(rq.w.status)
	if ctx := rq.http.Context(); a.deps.Log.Enabled(ctx, levelRequest) {
		a.deps.Log.Log(ctx, levelRequest, "request answered", keyRequestID, rq.id,
			keyOp, rq.http.Pattern, keyStatus, rq.w.status, keyDuration, time.Since(rq.began).Milliseconds())
	}
}

// boundLeftover bounds the time in which net/http waits for a body that no route
// has read, before it goes on with the connection.
func (a *API) boundLeftover(rq *request) {
	if rq.http.ContentLength != 0 && !rq.read {
		_ = http.NewResponseController(rq.w).SetReadDeadline(rq.began.Add(a.cfg.BodyTimeout))
	}
}

// complain logs what the host itself got wrong with a request, at a bounded rate.
func (a *API) complain(rq *request, message string, attrs ...any) {
	level := slog.LevelError
	ok, omitted := a.troubles.allow(message + " " + rq.http.Pattern)
	if !ok {
		level = slog.LevelDebug
	}
	attrs = append([]any{keyRequestID, rq.id, keyOp, rq.http.Pattern}, attrs...)
	if omitted > 0 {
		attrs = append(attrs, "omitted", omitted)
	}
	a.deps.Log.Log(rq.http.Context(), level, message, attrs...)
}

// errPanic stands for a panic that was logged already.
var errPanic = errors.New("a handler panicked")

// panicText names a panic without its value, which may hold a part of a request,
// unless it is an error of the runtime.
func panicText(p any) string {
	if err, ok := p.(interface{ RuntimeError() }); ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("panic with a %T", p)
}

// maxRequestID is the longest request id taken from a caller, in bytes.
const maxRequestID = 64

// requestID returns the caller's own request id when it is a sane one, else a new
// one.
func (a *API) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); saneRequestID(id) {
		return id
	}
	return a.deps.NewRequestID()
}

func saneRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}
