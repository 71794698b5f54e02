package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTable holds the codes against what each must have.
func TestTable(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[fault.Code]bool{}
	for _, c := range fault.Codes() {
		if !name.MatchString(string(c)) || seen[c] {
			t.Errorf("%q is no snake_case name of its own", c)
		}
		seen[c] = true
		if c.Title() == "" || c.Title()[len(c.Title())-1] == '.' {
			t.Errorf("%s: title %q", c, c.Title())
		}
		if s := c.Source(); s != fault.Caller && s != fault.Host && s != fault.Adapter && s != fault.CRM {
			t.Errorf("%s: source %q", c, s)
		}
		if f := fault.New(c, "m"); f.Class != c.Class() || f.Code != c || f.Msg != "m" {
			t.Errorf("%+v", f)
		}
	}
	want := []fault.Code{
		fault.CRMRejected, fault.CRMUnauthorized, fault.RateLimited, fault.AdapterFault, fault.NotSupported,
		fault.CRMUnavailable, fault.Outcome,
	}
	if got := fault.AdapterCodes(); !slices.Equal(got, want) {
		t.Errorf("an adapter may raise %v, want %v", got, want)
	}
	if odd := fault.Code("nonsense"); odd.Class() != fault.Unknown || odd.FromAdapter() || odd.Source() != fault.Host || odd.Title() == "" {
		t.Error("a code that is not known is not read carefully")
	}
}

// A log shows the whole of a fault, each thing once.
func TestErrorSaysEverythingOnce(t *testing.T) {
	t.Parallel()
	refused := &fault.Error{Code: fault.CRMRejected, Msg: "PUT /folder: the CRM answered 404", Err: errors.New("the CRM answered 404")}
	later := &fault.Error{Code: fault.Outcome, Msg: "an earlier request stands; then " + refused.Msg, Err: refused}
	for want, err := range map[string]error{
		"crm_rejected: PUT /folder: the CRM answered 404":                                                  refused,
		"outcome_unknown: an earlier request stands; then PUT /folder: the CRM answered 404: crm_rejected": later,

		"op: adapter_fault: m: EOF":               &fault.Error{Op: "op", Code: fault.AdapterFault, Msg: "m", Err: io.EOF},
		"crm_rejected: read: EOF":                 fault.Rejectedf("read: %w", io.EOF),
		"crm_rejected: a: rate_limited: b":        &fault.Error{Code: fault.CRMRejected, Msg: "a", Err: fault.RetryAfter(0, "b")},
		"crm_rejected: a: b: rate_limited: a":     &fault.Error{Code: fault.CRMRejected, Msg: "a", Err: fmt.Errorf("b: %w", fault.RetryAfter(0, "a"))},
		"internal: EOF":                           &fault.Error{Err: io.EOF},
		"internal: nil fault":                     &fault.Error{Err: (*fault.Error)(nil)},
		"crm_rejected: a: rate_limited: b: EOF":   &fault.Error{Code: fault.CRMRejected, Msg: "a", Err: &fault.Error{Code: fault.RateLimited, Msg: "b", Err: io.EOF}},
		"crm_rejected: no EOF: op2: rate_limited": &fault.Error{Code: fault.CRMRejected, Msg: "no EOF", Err: &fault.Error{Op: "op2", Code: fault.RateLimited, Err: io.EOF}},
	} {
		if err.Error() != want {
			t.Errorf("got  %q\nwant %q", err.Error(), want)
		}
	}
}

func TestConstructors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   *fault.Error
		code  fault.Code
		class fault.Class
		wait  time.Duration
	}{
		"Rejected":       {fault.Rejected("m"), "crm_rejected", fault.Permanent, 0},
		"Rejectedf":      {fault.Rejectedf("%s", "m"), "crm_rejected", fault.Permanent, 0},
		"Unauthorized":   {fault.Unauthorized("m"), "crm_unauthorized", fault.Permanent, 0},
		"RetryAfter":     {fault.RetryAfter(time.Second, "m"), "rate_limited", fault.Retryable, time.Second},
		"Unavailable":    {fault.Unavailable(time.Second, "m"), "crm_unavailable", fault.Retryable, time.Second},
		"OutcomeUnknown": {fault.OutcomeUnknown(io.EOF), "outcome_unknown", fault.Unknown, 0},
		"Unsupported":    {fault.Unsupported("m"), "unsupported", fault.Permanent, 0},
		"zero":           {&fault.Error{}, "internal", fault.Unknown, 0},
	} {
		err := fmt.Errorf("outer: %w", c.err)
		if fault.CodeOf(err) != c.code || fault.ClassOf(err) != c.class || fault.RetryAfterOf(err) != c.wait {
			t.Errorf("%s: %s %s %s", name, fault.CodeOf(err), fault.ClassOf(err), fault.RetryAfterOf(err))
		}
		if f, ok := fault.As(err); !ok || f != c.err {
			t.Errorf("%s: not found in the chain", name)
		}
	}
	if err := fault.Rejectedf("read: %w", io.EOF); !errors.Is(err, io.EOF) || err.Msg != "read: EOF" {
		t.Errorf("%+v", err)
	}
	if !errors.Is(fault.OutcomeUnknown(io.EOF), io.EOF) {
		t.Error("the cause is lost")
	}
}

// TestNoFault shows how an error that is no fault is read: carefully.
func TestNoFault(t *testing.T) {
	t.Parallel()
	var none *fault.Error
	for name, err := range map[string]error{"nil": nil, "plain": io.EOF, "nil fault": none, "wrapped nil": fmt.Errorf("x: %w", none)} {
		if f, ok := fault.As(err); ok {
			t.Errorf("%s is the fault %v", name, f)
		}
		if fault.ClassOf(err) != fault.Unknown || fault.CodeOf(err) != fault.Internal || fault.SourceOf(err) != fault.Host ||
			fault.RetryAfterOf(err) != 0 || fault.MessageOf(err) != fault.Internal.Title() {
			t.Errorf("%s is not read carefully", name)
		}
	}
	if none.Error() != "nil fault" || errors.Is(none, io.EOF) {
		t.Error("a nil fault cannot be printed")
	}
}

func TestMessageNeverShowsTheCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("inner")
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fault.Error{Code: fault.CRMRejected, Err: cause}, fault.CRMRejected.Title()},
		{&fault.Error{Code: fault.CRMRejected, Msg: "m", Err: cause}, "m"},
		{cause, fault.Internal.Title()},
	} {
		if got := fault.MessageOf(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*fault.Error{
		"acme.AddMessageLog: crm_rejected: no: EOF": {Op: "acme.AddMessageLog", Code: fault.CRMRejected, Msg: "no", Err: io.EOF},
		"crm_rejected": {Code: fault.CRMRejected},
		"internal":     {},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	for want, err := range map[fault.Source]error{
		fault.CRM: fault.Rejected(""), fault.Adapter: fault.Unsupported(""), fault.Host: fault.New(fault.Overloaded, ""),
		fault.Caller: &fault.Error{Code: fault.Overloaded, Source: fault.Caller},
	} {
		if got := fault.SourceOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestClassNames(t *testing.T) {
	t.Parallel()
	for class, name := range map[fault.Class]string{fault.Unknown: "unknown", fault.Retryable: "retryable", fault.Permanent: "permanent"} {
		raw, err := json.Marshal(class)
		var back fault.Class = 9
		if err2 := json.Unmarshal(raw, &back); err != nil || err2 != nil || string(raw) != `"`+name+`"` || back != class || fault.ParseClass(name) != class {
			t.Errorf("%s: %s, %v", name, raw, back)
		}
	}
	c := fault.Permanent
	if err := json.Unmarshal([]byte(`"brand_new"`), &c); err != nil || c != fault.Unknown || fault.Class(9).String() != "unknown" {
		t.Errorf("a class that is not known is read as %s", c)
	}
}

func ExampleRejected() {
	err := fmt.Errorf("log activity: %w", fault.Rejected("the contact has no e-mail address"))
	fmt.Println(fault.CodeOf(err), fault.ClassOf(err), fault.MessageOf(err))
	// Output: crm_rejected permanent the contact has no e-mail address
}

func ExampleRetryAfter() {
	err := fault.RetryAfter(30*time.Second, "the CRM allows 50 calls a minute")
	fmt.Println(fault.ClassOf(err), fault.RetryAfterOf(err))
	// Output: retryable 30s
}

func ExampleOutcomeUnknown() {
	err := fault.OutcomeUnknown(io.ErrUnexpectedEOF)
	fmt.Println(fault.ClassOf(err), errors.Is(err, io.ErrUnexpectedEOF))
	// Output: unknown true
}
