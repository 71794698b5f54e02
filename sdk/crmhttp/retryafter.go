package crmhttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest wait that is believed.
const maxRetryAfter = 24 * time.Hour

// retryAfter returns how long the CRM asks to wait, 0 when it does not say.
func (x *exchange) retryAfter(resp *Response) time.Duration {
	d, ok := parseRetryAfter(resp.Header, time.Now())
	if !ok && x.client.cfg.RetryAfter != nil {
		d = x.client.cfg.RetryAfter(resp.Status, resp.Header)
	}
	return min(max(d, 0), maxRetryAfter)
}

// parseRetryAfter reads a Retry-After header: seconds, or a date. A date is
// compared with the CRM's own Date header when there is one, so that clocks that
// disagree do not matter.
func parseRetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if d, ok := seconds(text); ok {
		return d, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return max(at.Sub(now), 0), true
}

// seconds reads a number of seconds that is not negative, fractions allowed.
func seconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	return time.Duration(min(n, maxRetryAfter.Seconds()) * float64(time.Second)), true
}

// SecondsHeader returns a Config.RetryAfter that reads the wait, in seconds, from
// the named header, as "X-RateLimit-Reset" of some CRMs.
func SecondsHeader(name string) func(status int, header http.Header) time.Duration {
	return func(_ int, header http.Header) time.Duration {
		d, _ := seconds(strings.TrimSpace(header.Get(name)))
		return d
	}
}
