package sdktest

import (
	"context"
	"encoding/base64"
	"errors"
	"log"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// broken is an adapter that breaks one rule.
type broken struct {
	failing string // the case that must say so
	says    string // and how: a regular expression
	adapter *spoilt
	mode    string // the only mode that can see it; empty for both
	opts    []Option
}

// always answers as told, whatever the request.
func always(resp *sdk.AddMessageLogResponse, err error) addFunc {
	return func(*memory, context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		return resp, err
	}
}

// refusing refuses some requests.
func refusing(wrong func(*sdk.AddMessageLogRequest) bool) *spoilt {
	return &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) { return nil, refuseIf(wrong(r)) })}
}

// storing makes the records of a request in its own way.
func storing(store func(*memory, *sdk.AddMessageLogRequest) (id string)) *spoilt {
	return &spoilt{add: func(m *memory, _ context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		return sdk.Logged(store(m, r)), nil
	}}
}

// talking does what is right, and says something of each call that succeeds.
func talking(say func(*sdk.AddMessageLogRequest, *sdk.AddMessageLogResponse)) *spoilt {
	return &spoilt{add: func(m *memory, ctx context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		resp, err := m.AddMessageLog(ctx, r)
		if err == nil {
			say(r, resp)
		}
		return resp, err
	}}
}

// finding answers each search as told.
func finding(resp *sdk.FindMessageLogResponse, err error) *spoilt {
	return &spoilt{find: func(*memory, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) { return resp, err }}
}

// missing does what is right, but for what it says of a record that is not there.
func missing(answer func() *sdk.FindMessageLogResponse) *spoilt {
	return &spoilt{find: func(m *memory, r *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
		if ids := m.ids(r.IdempotencyKey); len(ids) > 0 {
			return sdk.Found(ids...), nil
		}
		return answer(), nil
	}}
}

// also does what is right, and answers a search that finds something in its own way.
func also(change func(*memory, *sdk.FindMessageLogRequest, *sdk.FindMessageLogResponse)) *spoilt {
	return &spoilt{find: func(m *memory, r *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
		resp, err := m.FindMessageLog(context.Background(), r)
		if resp.Verdict == sdk.VerdictFound {
			change(m, r, resp)
		}
		return resp, err
	}}
}

const inProcess = "in-process"

// basicRequest brings Basic credentials whose user is the secret.
func basicRequest() *sdk.AddMessageLogRequest {
	req := Request()
	req.AuthHeader = Basic("an-api-key", "")
	return req
}

// breaks are adapters that each break one rule.
func breaks() map[string]broken {
	all := map[string]broken{}
	for _, some := range []map[string]broken{breaksOfCalls(), breaksOfInput(), breaksOfSecrecy(), breaksOfRecords(), breaksOfSearches()} {
		maps.Copy(all, some)
	}
	return all
}

func breaksOfCalls() map[string]broken {
	return map[string]broken{
		"empty log ID":       {failing: "single-message", says: "empty log ID", adapter: &spoilt{add: always(sdk.Logged(""), nil)}},
		"nothing":            {failing: "single-message", says: "neither a result nor an error", adapter: &spoilt{add: always(nil, nil)}},
		"always refuses":     {failing: "single-message", says: "nothing wrong with it(.|\n)*Request .contact 7.(.|\n)*WithRequest", adapter: &spoilt{add: always(nil, fault.Rejected("no"))}},
		"knows other tokens": {failing: "zones", says: "refuses what must be logged(.|\n)*Bearer sdktest-token", adapter: &spoilt{add: always(nil, fault.Unauthorized("no"))}},
		"refuses groups":     {failing: "group", says: "nothing wrong with it", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return len(r.Messages) > 1 })},
		"knows names only":   {failing: "zones", says: "refuses what must be logged", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return r.Zone == "" })},
		"sends too late": {failing: "send-window", says: "yet AddMessageLog answered", adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) string {
			return m.store(r.IdempotencyKey)
		})},
		"too late, unclear": {failing: "send-window", says: "does not say so", adapter: &spoilt{add: always(nil, errors.New("too late"))}},
		"writes, then fails": {failing: "send-window", says: "the CRM saw 1 writes", adapter: &spoilt{add: func(m *memory, _ context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			m.store(r.IdempotencyKey)
			return nil, fault.Unavailable(0, "too late")
		}}},
		"never returns": {
			failing: "cancelled", says: "did not return", mode: inProcess, opts: []Option{func(s *suite) { s.patience = 20 * time.Millisecond }},
			adapter: &spoilt{add: func(*memory, context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				time.Sleep(200 * time.Millisecond) // longer than the case waits
				return nil, nil
			}},
		},
		"one log ID for all":   {failing: "concurrent", says: "got 1 log IDs", adapter: &spoilt{add: always(sdk.Logged("1"), nil)}},
		"refuses some at once": {failing: "concurrent", says: "concurrent calls failed", adapter: &spoilt{add: always(nil, fault.RetryAfter(0, "slow down"))}},
		"changes messages": {failing: "request-unchanged", says: "changed its request", mode: inProcess, adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			slices.Reverse(r.Messages)
			return nil, nil
		})}},
		"changes raw bytes": {failing: "request-unchanged", says: "changed its request", mode: inProcess, adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			r.Messages[0].Raw[0] = ' '
			return nil, nil
		})}},
		"refuses before it changes": {failing: "request-unchanged", says: "refuses what must be logged", adapter: &spoilt{add: always(nil, fault.Rejected("no"))}},
		"rejects after a write": {failing: "definite-faults", says: "a record may exist", adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			r.CRMCall().State.Sent()
			_, err := r.ContactInfo.ID.Int64()
			return nil, refuseIf(err != nil)
		})}},
		"silent health":  {failing: "health", says: "without a reason", adapter: &spoilt{health: func() (*sdk.CheckHealthResponse, error) { return &sdk.CheckHealthResponse{}, nil }}},
		"failing health": {failing: "health", says: "CheckHealth failed", mode: inProcess, adapter: &spoilt{health: func() (*sdk.CheckHealthResponse, error) { return nil, errors.New("sick") }}},
	}
}

func breaksOfInput() map[string]broken {
	return map[string]broken{
		"needs a text": {failing: "any-message", says: "is no fault|of class unknown", adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, plainIf(r.Messages[0].Subject == "")
		})}},
		"refuses every kind": {failing: "any-message", says: "every message was refused(.|\n)*WithRequest", adapter: &spoilt{add: always(nil, fault.Rejected("no"))}},
		"plain error": {failing: "unusual-ids", says: "is no fault|of class unknown", adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			_, err := r.ContactInfo.ID.Int64()
			return nil, err
		})}},
		"numbers only": {failing: "unusual-ids", says: "own id as text: .*nothing wrong with it", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return !r.ContactInfo.ID.IsNumber() })},
		"gives up on emoji": {failing: "any-text", says: "is no fault|of class unknown", adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, plainIf(strings.Contains(r.Messages[0].Subject, "👩"))
		})}},
		"refuses emoji":     {failing: "any-text", says: "refuses what must be logged", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return strings.Contains(r.Messages[0].Subject, "👩") })},
		"refuses no text":   {failing: "any-text", says: "no text: .*refuses what must be logged", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return r.Messages[0].Subject == "" })},
		"refuses long text": {failing: "any-text", says: "10,000 characters: .*refuses", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return len(r.Messages[0].Subject) > 9000 })},
		"log ID from text": {failing: "any-text", says: "log ID", adapter: storing(func(_ *memory, r *sdk.AddMessageLogRequest) string {
			return r.Messages[0].Subject
		})},
	}
}

func breaksOfSecrecy() map[string]broken {
	return map[string]broken{
		"secret in an error": {failing: "secret", says: "failed with the request's Authorization header", mode: inProcess, adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, errors.New(r.AuthHeader.Reveal())
		})}},
		"secret in a fault": {failing: "zones", says: "failed with the request's Authorization header", mode: inProcess, adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, fault.Rejected("token " + Token)
		})}},
		"secret in the error of a call that ended": {failing: "cancelled", says: "failed with the request's Authorization header", mode: inProcess, adapter: &spoilt{add: always(nil, errors.New(AuthHeader))}},
		"secret in a log": {failing: "secret", says: "header was logged", adapter: &spoilt{add: adding(func(r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			slog.Info("m", "h", r.AuthHeader.Reveal())
			return nil, fault.Unauthorized("no")
		})}},
		"secret in an answer": {failing: "secret", says: "answered with the request's Authorization header", adapter: storing(func(_ *memory, r *sdk.AddMessageLogRequest) string {
			return r.AuthHeader.Reveal()
		})},
		"secret logged in the end": {failing: "single-message", says: "header was logged", adapter: talking(func(r *sdk.AddMessageLogRequest, _ *sdk.AddMessageLogResponse) {
			slog.Debug("logged", "auth", r.AuthHeader.Reveal())
		})},
		"token logged in a group": {failing: "concurrent", says: "header was logged", adapter: talking(func(*sdk.AddMessageLogRequest, *sdk.AddMessageLogResponse) {
			slog.With("token", Token).WithGroup("g").Debug("logged", "x", 1)
		})},
		"token printed": {failing: "find", says: "header was logged", adapter: talking(func(*sdk.AddMessageLogRequest, *sdk.AddMessageLogResponse) {
			log.Print("logged with ", Token)
		})},
		"key of Basic credentials logged": {failing: "group", says: "header was logged", opts: []Option{WithRequest(basicRequest)}, adapter: talking(func(r *sdk.AddMessageLogRequest, _ *sdk.AddMessageLogResponse) {
			_, encoded, _ := strings.Cut(r.AuthHeader.Reveal(), " ")
			plain, _ := base64.StdEncoding.DecodeString(encoded)
			slog.Debug("logged", "user", strings.TrimSuffix(string(plain), ":"))
		})},
		"secret in a warning": {failing: "single-message", says: "answered with the request's Authorization header", mode: inProcess, adapter: talking(func(_ *sdk.AddMessageLogRequest, resp *sdk.AddMessageLogResponse) {
			resp.ReturnMessage = &sdk.ReturnMessage{Message: "logged with " + AuthHeader, MessageType: sdk.Warning}
		})},
		"secret in a log page": {failing: "group", says: "answered with the request's Authorization header", mode: inProcess, adapter: talking(func(_ *sdk.AddMessageLogRequest, resp *sdk.AddMessageLogResponse) {
			resp.LogURL = "https://crm.example.com/?token=" + Token
		})},
		"secret of a search logged": {failing: "find", says: "header was logged", adapter: also(func(_ *memory, r *sdk.FindMessageLogRequest, _ *sdk.FindMessageLogResponse) {
			slog.Debug("searched", "auth", r.Original.AuthHeader.Reveal())
		})},
		"secret in a search's warning": {failing: "find", says: "answered with the request's Authorization header", mode: inProcess, adapter: also(func(_ *memory, _ *sdk.FindMessageLogRequest, resp *sdk.FindMessageLogResponse) {
			resp.ReturnMessage = &sdk.ReturnMessage{Message: Token, MessageType: sdk.Warning}
		})},
		"secret in a search's error": {failing: "find", says: "failed with the request's Authorization header", mode: inProcess, adapter: finding(nil, errors.New(Token))},
		"text logged": {failing: "group", says: "text of a message was logged at INFO", adapter: talking(func(r *sdk.AddMessageLogRequest, _ *sdk.AddMessageLogResponse) {
			slog.Info("logged", "text", r.Messages[len(r.Messages)-1].Subject)
		})},
		"text in a warning": {failing: "any-text", says: "text of a message was logged at WARN", adapter: talking(func(r *sdk.AddMessageLogRequest, _ *sdk.AddMessageLogResponse) {
			slog.Warn("odd " + r.Messages[0].Subject)
		})},
		"text of a search logged": {failing: "find", says: "text of a message was logged at ERROR", adapter: also(func(_ *memory, r *sdk.FindMessageLogRequest, _ *sdk.FindMessageLogResponse) {
			slog.Error("searched", "level", "DEBUG", "text", r.Original.Messages[0].Subject)
		})},
		"endless log": {failing: "single-message", says: "too much to be looked through", adapter: talking(func(*sdk.AddMessageLogRequest, *sdk.AddMessageLogResponse) {
			for range 20 {
				slog.Debug(strings.Repeat("x", 1<<20))
			}
		})},
	}
}

func breaksOfRecords() map[string]broken {
	twice := func(m *memory, r *sdk.AddMessageLogRequest) string {
		m.store(r.IdempotencyKey, r.Messages...)
		return m.store(r.IdempotencyKey, r.Messages...)
	}
	return map[string]broken{
		"two records in a call": {failing: "single-message", says: "1 successful calls made 2 writes(.|\n)*WithWritesPerCall", adapter: storing(twice)},
		"two records at once":   {failing: "concurrent", says: "32 successful calls made 64 writes", adapter: storing(twice)},
		"a record for each message": {failing: "group", says: "1 successful calls made 3 writes", adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) (id string) {
			for _, message := range r.Messages {
				id = m.store(r.IdempotencyKey, message)
			}
			return id
		})},
		"two steps, and one more":  {failing: "single-message", says: "made 2 writes, and 1 is the most", adapter: storing(twice), opts: []Option{WithWritesPerCall(1)}},
		"two records of two steps": {failing: "record", says: "2 hold texts", adapter: storing(twice), opts: []Option{WithWritesPerCall(2)}},
		"the first message only": {failing: "record", says: "message 2 of 3 is missing", adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) string {
			return m.store(r.IdempotencyKey, r.Messages[0])
		})},
		"the last message only": {failing: "record", says: "message 1 of 3 is missing", adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) string {
			return m.store(r.IdempotencyKey, r.Messages[len(r.Messages)-1])
		})},
		"no text": {failing: "record", says: "0 hold texts", adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) string {
			return m.store(r.IdempotencyKey)
		})},
		"no key": {failing: "record", says: "lacks the idempotency key", adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) string {
			return m.store("", r.Messages...)
		})},
	}
}

func breaksOfSearches() map[string]broken {
	soon := []Option{WithSearchLag(0)}
	return map[string]broken{
		"finds another":    {failing: "find", says: "want this one and no other", adapter: finding(sdk.Found("another"), nil)},
		"search fails":     {failing: "find", says: "FindMessageLog failed", adapter: finding(nil, errors.New("no search"))},
		"search is silent": {failing: "find", says: "neither a result nor an error|FindMessageLog failed", adapter: finding(nil, nil)},
		"finds one too many": {failing: "find", says: "want this one and no other", adapter: also(func(_ *memory, _ *sdk.FindMessageLogRequest, resp *sdk.FindMessageLogResponse) {
			resp.LogIDs = append(resp.LogIDs, "one-more")
		})},
		"finds one twice": {failing: "find", says: "want this one and no other", adapter: also(func(_ *memory, _ *sdk.FindMessageLogRequest, resp *sdk.FindMessageLogResponse) {
			resp.LogIDs = append(resp.LogIDs, resp.LogIDs...)
		})},
		"finds the contact's": {failing: "find", says: "want this one and no other", adapter: also(func(m *memory, _ *sdk.FindMessageLogRequest, resp *sdk.FindMessageLogResponse) {
			resp.LogIDs = nil
			for _, s := range m.records {
				resp.LogIDs = append(resp.LogIDs, s.id)
			}
		})},
		"is never sure": {failing: "find", says: "complete: false", adapter: also(func(_ *memory, _ *sdk.FindMessageLogRequest, resp *sdk.FindMessageLogResponse) {
			resp.Complete = false
		})},
		"finds what never was": {failing: "find", says: "never logged", adapter: missing(func() *sdk.FindMessageLogResponse { return sdk.Found("another") })},
		"finds nothing": {failing: "find", says: "has not found log ID .* as of", opts: soon, adapter: &spoilt{find: func(*memory, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
			return sdk.NotFound(time.Now()), nil
		}}},
		"cannot ever tell": {failing: "find", says: "has not found log ID .* within 1s: cannotTell", opts: soon, adapter: finding(sdk.CannotTell(time.Hour), nil)},
		"writes when it searches": {failing: "find", says: "made 2 writes; a search must not write", adapter: also(func(m *memory, _ *sdk.FindMessageLogRequest, _ *sdk.FindMessageLogResponse) {
			m.store("found")
		})},
		"as of long ago": {failing: "find", says: "before it was asked", adapter: missing(func() *sdk.FindMessageLogResponse {
			return sdk.NotFound(time.Now().Add(-99_999 * time.Hour))
		})},
		"as of before the lag": {failing: "find", says: "before it was asked(.|\n)*1m0s ago", opts: []Option{WithSearchLag(time.Minute)}, adapter: missing(func() *sdk.FindMessageLogResponse {
			return sdk.NotFound(time.Now().Add(-62 * time.Second))
		})},
		"as of tomorrow": {failing: "find", says: "in the future", mode: inProcess, adapter: missing(func() *sdk.FindMessageLogResponse {
			return sdk.NotFound(time.Now().Add(24 * time.Hour))
		})},
		"as of no time": {failing: "find", says: "without saying as of when", mode: inProcess, adapter: missing(func() *sdk.FindMessageLogResponse {
			return sdk.NotFound(time.Time{})
		})},
	}
}

// TestEachCaseCanFail has an adapter for each rule that breaks it, and wants the
// case of that rule to say so, in every mode that can see it.
func TestEachCaseCanFail(t *testing.T) {
	shown := map[string]bool{"capabilities": true} // an adapter cannot lie about these
	for name, b := range breaks() {
		shown[b.failing] = true
		for _, mode := range modes {
			if b.mode != "" && b.mode != mode.name {
				continue
			}
			t.Run(name+"/"+mode.name, func(t *testing.T) {
				a := *b.adapter
				a.memory = newMemory()
				found := runCase(t, b.failing, envOf(t, &a, a.memory, mode.reach(t, &a), b.opts...))
				if !slices.ContainsFunc(found, regexp.MustCompile(b.says).MatchString) {
					t.Errorf("case %s says %q, want %q", b.failing, found, b.says)
				}
			})
		}
	}
	for _, c := range cases {
		if !shown[c.name] {
			t.Errorf("nothing shows that the case %s can fail", c.name)
		}
	}
}

// TestWhatIsAllowed has adapters that come near to what is not.
func TestWhatIsAllowed(t *testing.T) {
	for name, b := range map[string]broken{
		"text logged for authors": {failing: "group", adapter: talking(func(r *sdk.AddMessageLogRequest, _ *sdk.AddMessageLogResponse) {
			slog.Debug("logged", "text", r.Messages[0].Subject, "auth", r.AuthHeader)
		})},
		"a record in two steps": {failing: "concurrent", opts: []Option{WithWritesPerCall(2)}, adapter: storing(func(m *memory, r *sdk.AddMessageLogRequest) string {
			m.store("its folder")
			return m.store(r.IdempotencyKey, r.Messages...)
		})},
		"a search that lags": {failing: "find", opts: []Option{WithSearchLag(time.Minute)}, adapter: missing(func() *sdk.FindMessageLogResponse {
			return sdk.NotFound(time.Now().Add(-time.Minute))
		})},
		"a search that cannot tell": {failing: "find", adapter: missing(func() *sdk.FindMessageLogResponse { return sdk.CannotTell(time.Hour) })},
		"refuses some kinds":        {failing: "any-message", adapter: refusing(func(r *sdk.AddMessageLogRequest) bool { return r.Messages[0].Type == "Fax" })},
	} {
		for _, mode := range modes {
			t.Run(name+"/"+mode.name, func(t *testing.T) {
				a := *b.adapter
				a.memory = newMemory()
				if found := runCase(t, b.failing, envOf(t, &a, a.memory, mode.reach(t, &a), b.opts...)); len(found) > 0 {
					t.Errorf("case %s says %q", b.failing, found)
				}
			})
		}
	}
}

// TestCounterThatCountsNothing: WithWrites that counts another CRM hides everything.
func TestCounterThatCountsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		grows, succeeded int
		wrong            bool
	}{
		"counts":           {1, 1, false},
		"counts nothing":   {0, 1, true},
		"nothing to count": {0, 0, false},
	} {
		r, writes := &fakeReporter{t: t}, 7
		s := newSuite(WithWrites(func() int { return writes }))
		before := s.count()
		writes += test.grows
		s.logged.Add(int64(test.succeeded))
		if s.checkCounter(r, before); (len(r.found) > 0) != test.wrong {
			t.Errorf("%s: %q", name, r.found)
		}
	}
}
