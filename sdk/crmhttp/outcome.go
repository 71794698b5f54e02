package crmhttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// outcome is what a status says about a request.
type outcome struct {
	code  fault.Code
	class fault.Class
}

var (
	rejected     = outcome{fault.CRMRejected, fault.Permanent}
	unauthorized = outcome{fault.CRMUnauthorized, fault.Permanent}
	limited      = outcome{fault.RateLimited, fault.Retryable}
	unavailable  = outcome{fault.CRMUnavailable, fault.Retryable}
	mayHaveActed = outcome{fault.Outcome, fault.Unknown}
)

// outcomeOf returns what a status other than 2xx says about a request.
func outcomeOf(status int, write bool) outcome {
	vague := unavailable
	if write {
		vague = mayHaveActed
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return unauthorized
	case http.StatusTooManyRequests:
		return limited
	case http.StatusTooEarly, http.StatusServiceUnavailable:
		return unavailable
	case http.StatusRequestTimeout:
		return vague
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// "Send it elsewhere": whoever answered so has not done it.
		return rejected
	}
	if status/100 == 4 {
		return rejected
	}
	// The other 3xx are no refusals: 303, and in practice 302, follow a write that
	// succeeded. The other 5xx may come from a proxy that lost the CRM's answer.
	if status/100 == 3 && !write {
		return rejected
	}
	return vague
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// fault returns a fault about this request. msg is the package's own words.
func (x *exchange) fault(code fault.Code, class fault.Class, msg string, cause error) *fault.Error {
	return &fault.Error{Code: code, Class: class, Msg: x.scrubber().text(x.label + ": " + msg), Err: cause}
}

// settle raises f to class Unknown when an earlier write of the call stands: the
// record of the first of two steps exists, whatever becomes of the second.
func (x *exchange) settle(f *fault.Error) *fault.Error {
	if f.Class == fault.Unknown || !x.call.State.MayHaveActed() {
		return f
	}
	return &fault.Error{
		Code: fault.Outcome, Class: fault.Unknown, Err: f,
		Msg: "the CRM may have acted on an earlier request of this call; then " + f.Msg,
	}
}

// answered returns the fault for a status other than 2xx.
func (x *exchange) answered(resp *Response, o outcome) *fault.Error {
	msg := "the CRM answered " + statusText(resp.Status)
	if redirects(resp.Status) {
		msg += ", a redirect, which is not followed"
	}
	if o.class == fault.Unknown {
		msg += " and may have acted"
	}
	f := x.fault(o.code, o.class, msg, &statusError{resp.Status})
	if words := x.excerpt(resp); words != "" {
		f.Msg += ": " + words
	}
	if o.class == fault.Retryable {
		f.RetryAfter = x.retryAfter(resp)
	}
	f.Source = fault.CRM
	return f
}

// excerpt returns what the CRM itself says about the failure.
func (x *exchange) excerpt(resp *Response) string {
	if x.client.cfg.ErrorMessage == nil {
		return ""
	}
	scrub := x.scrubber()
	clean := &Response{Status: resp.Status, Header: resp.Header.Clone(), Body: []byte(scrub.text(string(resp.Body)))}
	for _, values := range clean.Header {
		for i, v := range values {
			values[i] = scrub.text(v)
		}
	}
	return scrub.foreign(x.client.cfg.ErrorMessage(clean))
}

// unusable returns the fault for a success whose body does not serve.
func (x *exchange) unusable(status int, problem string) *fault.Error {
	o := unavailable
	if x.write {
		o = mayHaveActed
	}
	f := x.fault(o.code, o.class, "the CRM answered "+statusText(status)+" with "+problem, &statusError{status})
	f.Source = fault.CRM
	return f
}

// refused returns the fault for a request that the client itself refuses to send.
func (x *exchange) refused(why error) *fault.Error {
	msg := why.Error()
	if errors.Is(why, errPrivate) {
		msg = "the CRM was not called: " + msg + ", and " +
			x.client.cfg.allowPrivateKey() + " of the host's configuration does not allow it"
	}
	f := x.fault(fault.CRMRejected, fault.Permanent, msg, nil)
	f.Source = fault.Adapter
	return f
}

// failed returns the fault for a request without an answer.
func (x *exchange) failed(err error, g *guard) *fault.Error {
	for _, refusal := range []error{errEgress, errPrivate, errPlainHTTP, errOddPort, errManyHops, errNoLocation} {
		if errors.Is(err, refusal) {
			return x.refused(refusal)
		}
	}
	begun, _ := g.end()
	if x.write && begun {
		f := x.fault(fault.Outcome, fault.Unknown, "no answer came, and the CRM may have acted: "+reason(err), x.cause(err))
		f.Source = fault.CRM
		return f
	}
	return x.fault(fault.CRMUnavailable, fault.Retryable, reason(err), x.cause(err))
}

// reason says in fixed words why a request has no answer.
func reason(err error) string {
	var (
		dns       *net.DNSError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		alert     tls.AlertError
		op        net.Error
	)
	switch {
	case errors.Is(err, errWindowClosed):
		return errWindowClosed.Error()
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case errors.As(err, &dns):
		return "the CRM's host name cannot be resolved"
	case errors.As(err, &verify), errors.As(err, &authority):
		return "the CRM's certificate cannot be trusted"
	case errors.As(err, &record), errors.As(err, &alert):
		return "the CRM does not speak TLS as expected"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the CRM refuses connections"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &op) && op.Timeout():
		return "the CRM did not answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was lost"
	}
	return "the connection failed"
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// statusError is the cause of a fault that came with a status.
type statusError struct{ status int }

// Error returns words of the fault itself, so that they are not said twice.
func (e *statusError) Error() string { return "the CRM answered " + statusText(e.status) }

// StatusOf returns the HTTP status with which the CRM answered the request that
// err is about, 0 when it did not answer.
func StatusOf(err error) int {
	var e *statusError
	if errors.As(err, &e) {
		return e.status
	}
	return 0
}
