package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// levelRequest is the level of the record that every request gives.
const levelRequest = slog.LevelDebug

// right says whose token opens a route.
type right int

const (
	anyone    right = iota // no token needed
	anyToken               // the admin's, or any tenant's
	ownTenant              // the admin's, or the one of the tenant in the path
	adminOnly
)

// enter takes a place in flight, which leave gives back, or says why there is
// none.
func (a *API) enter(rq *request) error {
	count := a.inFlight.Add(1)
	if a.draining.Load() {
		a.leave()
		rq.w.Header().Set("Connection", "close")
		return shuttingDown()
	}
	if count > int64(a.cfg.MaxInFlight) {
		a.leave()
		return &fault.Error{Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second}
	}
	return nil
}

func shuttingDown() error {
	return &fault.Error{Code: fault.ShuttingDown, Class: fault.Retryable, RetryAfter: time.Second}
}

// leave gives a place in flight back.
func (a *API) leave() {
	if a.inFlight.Add(-1) == 0 && a.draining.Load() {
		select {
		case a.idle <- struct{}{}:
		default: // Serve was told already
		}
	}
}

// admit lets a request in to its route, or says why not.
func (a *API) admit(rq *request, r *route) error {
	if err := a.authorize(rq, r); err != nil {
		return err
	}
	if err := checkQuery(rq.http.URL.RawQuery, r.query); err != nil {
		return err
	}
	return a.readBody(rq, r)
}

// authorize checks the token and what it opens. A tenant's token gets the same
// answer for every other tenant, whether it exists or not.
func (a *API) authorize(rq *request, r *route) error {
	who, err := a.deps.Directory.Authenticate(bearer(rq.http.Header))
	if err != nil {
		challenge := `Bearer realm="patchbay"`
		if len(rq.http.Header.Values("Authorization")) > 0 {
			challenge += `, error="invalid_token"`
		}
		rq.w.Header().Set("WWW-Authenticate", challenge)
		return err
	}
	rq.admin, rq.tenant = who.Admin, who.Tenant
	switch {
	case who.Admin, r.right == anyToken:
		return nil
	case r.right == ownTenant && who.May(rq.http.PathValue("tenant")):
		return nil
	default:
		return fault.New(fault.Forbidden, "")
	}
}

// bearer returns the token of the one Authorization header, "" when there is none.
func bearer(h http.Header) string {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Trim(token, " ")
}

// checkQuery refuses query parameters that the route does not know, or that stand
// there twice: a filter that is silently left out gives a wrong answer.
func checkQuery(raw string, known []string) error {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return malformedQuery(raw)
	}
	var faults strictjson.Faults
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), maxQueryFaults)] {
		shown := strictjson.ShowName(name)
		switch {
		case !slices.Contains(known, name):
			faults.AddAt("?"+shown, strictjson.CodeUnknown, "unknown query parameter %q%s",
				shown, strictjson.DidYouMean(name, known))
		case len(query[name]) > 1:
			faults.AddAt("?"+shown, strictjson.CodeInvalid, "must not stand there twice")
		}
	}
	return invalid(faults)
}

// errQuery marks a fault of a query that cannot be read.
var errQuery = errors.New("the query is not well-formed")

const titleQuery = "The query of the URL is not well-formed"

// malformedQuery says what is wrong with a query that cannot be read, without
// repeating any of it.
func malformedQuery(raw string) error {
	detail := "a % in the query must be followed by two hexadecimal digits; a % itself is written %25"
	if strings.Contains(raw, ";") {
		detail = "the query's parameters are separated by &, and a ; in a value is written %3B"
	}
	return &fault.Error{Code: fault.MalformedRequest, Class: fault.Permanent, Msg: detail, Err: errQuery}
}

// maxQueryFaults bounds what one query is told.
const maxQueryFaults = 20

// invalid returns the faults as one, nil when there is none.
func invalid(faults strictjson.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.InvalidFields, Class: fault.Permanent, Err: faults}
}

// bodyKind says which body a route takes.
type bodyKind int

const (
	noBody       bodyKind = iota // none is read
	optionalBody                 // a JSON object, or nothing at all
	jsonBody                     // a JSON object
	patchBody                    // a JSON object, also as application/merge-patch+json
)

// The media types of bodies.
const (
	typeJSON    = "application/json"
	typePatch   = "application/merge-patch+json"
	typeProblem = "application/problem+json"
)

func (k bodyKind) mediaTypes() []string {
	if k == patchBody {
		return []string{typeJSON, typePatch}
	}
	return []string{typeJSON}
}

// readBody reads the body that the route takes. One that is too large is not read
// to its end, nor is one that is still arriving when the host stops: the
// connection is closed.
func (a *API) readBody(rq *request, r *route) error {
	if r.body == noBody || (r.body == optionalBody && rq.http.ContentLength == 0) {
		return nil
	}
	if err := checkMediaType(rq.http.Header, r.body.mediaTypes()); err != nil {
		return err
	}
	if rq.http.ContentLength > a.cfg.MaxBody {
		rq.w.Header().Set("Connection", "close")
		return a.tooLarge()
	}
	rq.read = true
	if !a.arrivals.begin(rq, time.Now().Add(a.cfg.BodyTimeout)) {
		rq.w.Header().Set("Connection", "close")
		return shuttingDown()
	}
	body, err := readAll(http.MaxBytesReader(rq.w.ResponseWriter, rq.http.Body, a.cfg.MaxBody), rq.http.ContentLength)
	var over *http.MaxBytesError
	switch {
	case !a.arrivals.end(rq): // nothing was claimed for it
		rq.w.Header().Set("Connection", "close")
		return shuttingDown()
	case errors.As(err, &over):
		return a.tooLarge()
	case err != nil:
		rq.w.Header().Set("Connection", "close")
		return &fault.Error{
			Code: fault.MalformedRequest, Class: fault.Permanent, Msg: "the body did not arrive completely", Err: err,
		}
	}
	rq.body = body
	return nil
}

func (a *API) tooLarge() error {
	return fault.New(fault.RequestTooLarge, fmt.Sprintf("a body may have at most %d bytes", a.cfg.MaxBody))
}

// readAll reads to the end, into one allocation when the length is known.
func readAll(body io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		return io.ReadAll(body)
	}
	out := make([]byte, length)
	n, err := io.ReadFull(body, out)
	if err == io.EOF && length == 0 {
		err = nil
	}
	return out[:n], err
}

// checkMediaType checks that the body is said to be JSON in UTF-8.
func checkMediaType(h http.Header, allowed []string) error {
	if !plainJSON(h, allowed) {
		return fault.New(fault.UnsupportedMediaType, "send Content-Type: "+strings.Join(allowed, " or "))
	}
	return nil
}

func plainJSON(h http.Header, allowed []string) bool {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	contentType := h.Get("Content-Type")
	if contentType == typeJSON { // as nearly all have it
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !slices.Contains(allowed, media) {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// document reads the body as a JSON object; an absent one is nil.
func (rq *request) document() (*strictjson.Node, error) {
	if len(rq.body) == 0 && rq.http.ContentLength <= 0 {
		return nil, nil
	}
	root, err := strictjson.Parse(rq.body)
	if err != nil {
		return nil, fault.New(fault.MalformedRequest, err.Error())
	}
	if !root.Is(strictjson.Object) {
		return nil, fault.New(fault.MalformedRequest, "the body must be a JSON object, not "+root.Kind().String())
	}
	if nul := root.FindNUL(); nul != nil {
		var faults strictjson.Faults
		faults.Add(nul, strictjson.CodeInvalid, "must not contain the character U+0000")
		return nil, invalid(faults)
	}
	return root, nil
}

// object is document for routes whose body may not be absent.
func (rq *request) object() (*strictjson.Node, error) {
	root, err := rq.document()
	if err == nil && root == nil {
		return nil, fault.New(fault.MalformedRequest, "the body must be a JSON object, not nothing")
	}
	return root, err
}
