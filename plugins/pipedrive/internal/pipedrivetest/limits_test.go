package pipedrivetest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// told returns the headers of the limits.
func (a answer) told() string {
	h := a.header
	return fmt.Sprintf("%s/%s in %s; %s/%s", h.Get("X-Ratelimit-Remaining"), h.Get("X-Ratelimit-Limit"), h.Get("X-Ratelimit-Reset"),
		h.Get("X-Daily-Ratelimit-Token-Remaining"), h.Get("X-Daily-Ratelimit-Token-Limit"))
}

func TestBurst(t *testing.T) {
	t.Parallel()
	clock := NewManualClock(start)
	c := setup(t, Config{Burst: 3, Budget: 1000, Now: clock.Now, Tokens: []Token{{Text: "other"}}})
	for i, test := range []struct {
		advance time.Duration
		token   string
		status  int
		told    string
	}{
		{0, secret, 200, "2/3 in 2; 998/1000"},
		{500 * time.Millisecond, secret, 200, "1/3 in 2; 996/1000"},
		{600 * time.Millisecond, secret, 200, "0/3 in 1; 994/1000"},
		{0, secret, 429, "0/3 in 1; 994/1000"},
		{0, "other", 200, "2/3 in 2; 992/1000"},
		{899 * time.Millisecond, secret, 429, "0/3 in 1; 992/1000"},
		{time.Millisecond, secret, 200, "2/3 in 2; 990/1000"},
	} {
		clock.Advance(test.advance)
		a := c.do("GET", "/api/v2/persons/7", "", "Authorization", "Bearer "+test.token).want(t, test.status)
		if a.told() != test.told {
			t.Errorf("request %d: %s, want %s", i, a.told(), test.told)
		}
		if a.status != 429 {
			continue
		}
		if got := decode[refusal](t, a); got.ErrorCode != 429 || got.Error != "Request over limit" || a.header.Get("Retry-After") != "" {
			t.Errorf("the refusal is %s with %v", a.body, a.header)
		}
	}
	if got := c.Counts().RateLimited; got != 2 {
		t.Errorf("%d requests were limited", got)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	clock := NewManualClock(time.Date(2026, 1, 2, 22, 30, 0, 0, time.UTC))
	c := setup(t, Config{Budget: 100, Now: clock.Now, RetryAfter: true, Tokens: []Token{{Text: "other"}}})
	spend := func(request, token string, status int, left string) answer {
		t.Helper()
		method, path, _ := strings.Cut(request, " ")
		a := c.do(method, path, `{"subject":"a"}`, "Authorization", "Bearer "+token).want(t, status)
		if got := a.header.Get("X-Daily-Ratelimit-Token-Remaining"); got != left {
			t.Errorf("%s leaves %s, want %s", request, got, left)
		}
		return a
	}
	spend("POST /api/v2/activities", secret, 200, "90")
	spend("GET /api/v2/activities", "other", 200, "70") // the account's, not the token's
	spend("PATCH /api/v2/activities/1", secret, 200, "60")
	spend("GET /api/v2/activities/1", secret, 200, "58")
	spend("DELETE /api/v2/activities/1", secret, 200, "52")
	spend("GET /v1/activityTypes", secret, 200, "32")
	spend("GET /v1/users/me", secret, 200, "30")
	spend("GET /api/v2/persons/9", secret, 404, "28") // costs all the same
	spend("GET /api/v2/persons/7", "nobody", 401, "28")
	spend("GET /api/v2/activities", secret, 200, "8")
	a := spend("POST /api/v2/activities", secret, 429, "8")
	got := decode[refusal](t, a)
	if !strings.Contains(got.Error, "API daily token budget exceeded") || a.header.Get("X-Ratelimit-Reset") != "5400" || a.header.Get("Retry-After") != "5400" {
		t.Errorf("the refusal is %s with %v", a.body, a.header)
	}
	spend("GET /api/v2/persons/7", secret, 200, "6") // what is left suffices
	clock.Advance(90*time.Minute - time.Second)
	spend("POST /api/v2/activities", secret, 429, "6")
	clock.Advance(time.Second)
	spend("POST /api/v2/activities", secret, 200, "90")
	if got := c.Counts(); got.Applied != 2 || got.RateLimited != 2 || got.Attempted != 2 {
		t.Errorf("the counts are %+v", got)
	}
}
