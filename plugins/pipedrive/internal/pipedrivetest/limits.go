package pipedrivetest

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// window is how long a burst is counted. See
// https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting, the source of
// everything in this file but the x-daily headers: those are sent by the real API
// without being documented.
const window = 2 * time.Second

// limits counts requests and the daily budget. Its methods may be called
// concurrently.
type limits struct {
	cfg Config

	mu     sync.Mutex // guards what follows
	bursts map[string]*burst
	day    int64 // days since 1970, UTC, for which spent counts
	spent  int
}

// burst is one token's window. It begins with the first request after the end of
// the one before.
type burst struct {
	began time.Time
	count int
}

func newLimits(c Config) *limits {
	l := &limits{cfg: c, bursts: make(map[string]*burst, len(c.Tokens))}
	for _, t := range c.Tokens {
		l.bursts[t.Text] = &burst{}
	}
	return l
}

// take counts a request of a token that costs so much, writes the headers of the
// limits, and returns the refusal, if there is one. A refused request costs
// nothing. Requests without a valid token are told of limits that nobody uses.
func (l *limits) take(h http.Header, token string, cost int) *reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	if day := now.Unix() / (24 * 60 * 60); day != l.day {
		l.day, l.spent = day, 0
	}
	b := l.bursts[token]
	if b == nil {
		b = &burst{}
	}
	if age := now.Sub(b.began); age >= window || age < 0 {
		*b = burst{began: now}
	}
	reset := seconds(b.began.Add(window).Sub(now))
	defer func() { l.headers(h, b.count, reset) }()
	switch {
	case b.count >= l.cfg.Burst:
		return l.over(h, reset, "Request over limit")
	case l.spent+cost > l.cfg.Budget:
		reset = seconds(time.Unix((l.day+1)*24*60*60, 0).Sub(now))
		return l.over(h, reset, "Request over limit: API daily token budget exceeded, see the daily request limit of the account")
	}
	b.count++
	l.spent += cost
	return nil
}

func (l *limits) over(h http.Header, reset int, message string) *reply {
	if l.cfg.RetryAfter {
		h.Set("Retry-After", strconv.Itoa(reset))
	}
	r := refuse(v1, http.StatusTooManyRequests, "", message)
	return &r
}

func (l *limits) headers(h http.Header, used, reset int) {
	h.Set("X-Ratelimit-Limit", strconv.Itoa(l.cfg.Burst))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(max(0, l.cfg.Burst-used)))
	h.Set("X-Ratelimit-Reset", strconv.Itoa(reset))
	h.Set("X-Daily-Ratelimit-Token-Limit", strconv.Itoa(l.cfg.Budget))
	h.Set("X-Daily-Ratelimit-Token-Remaining", strconv.Itoa(max(0, l.cfg.Budget-l.spent)))
}

// seconds rounds up, so that a client that waits so long has waited enough.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// headersOf writes the headers of an answer that counts for no token.
func (l *limits) headersOf(h http.Header) {
	_ = l.take(h, "", 0) // without a token there is nothing to refuse
}
