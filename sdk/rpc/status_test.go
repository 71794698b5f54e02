package rpc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// TestEveryCodeHasAGRPCCode proves the table complete, and that no failure travels
// as success.
func TestEveryCodeHasAGRPCCode(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		if grpcCodes[code] == codes.OK {
			t.Errorf("%s has no gRPC code", code)
		}
	}
	if len(grpcCodes) != len(fault.Codes()) {
		t.Errorf("the table has %d codes, fault has %d", len(grpcCodes), len(fault.Codes()))
	}
}

// TestFaultsTravel sends every code with every class through a status and back.
func TestFaultsTravel(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		for _, class := range []fault.Class{fault.Unknown, fault.Retryable, fault.Permanent} {
			in := &fault.Error{Code: code, Class: class, Msg: "why", RetryAfter: 1500 * time.Millisecond, Err: errors.New("inner cause")}
			out := fromError(t.Context(), "op", toStatus(in, unscrubbed), unscrubbed)
			want := *in
			if !code.FromAdapter() {
				want.Code = fault.AdapterFault
			}
			if code == fault.Outcome {
				want.Class = fault.Unknown
			}
			if out.Code != want.Code || out.Class != want.Class || out.Msg != "why" || out.RetryAfter != want.RetryAfter || out.Op != "op" {
				t.Errorf("%s, %s arrived as %+v", code, class, out)
			}
			if out.Err != nil {
				t.Errorf("%s: the cause travelled: %v", code, out.Err)
			}
			if s := fault.SourceOf(out); s != fault.Adapter && s != fault.CRM {
				t.Errorf("%s from an adapter has source %s", code, s)
			}
		}
	}
	kept := fromError(t.Context(), "", toStatus(&fault.Error{Code: fault.RateLimited, Source: fault.Adapter}, unscrubbed), unscrubbed)
	if kept.Source != fault.Adapter {
		t.Errorf("a source other than the code's own is lost: %q", kept.Source)
	}
}

// TestHostileStatuses shows what a host makes of statuses that no SDK of ours
// wrote.
func TestHostileStatuses(t *testing.T) {
	t.Parallel()
	ours := func(reason, class, source string) *errdetails.ErrorInfo {
		return &errdetails.ErrorInfo{Domain: errorDomain, Reason: reason, Metadata: map[string]string{metaClass: class, metaSource: source}}
	}
	wait := func(d time.Duration) protoadapt.MessageV1 {
		return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
	}
	for name, c := range map[string]struct {
		code    codes.Code
		details []protoadapt.MessageV1
		want    fault.Error
	}{
		"no details":        {codes.Unavailable, nil, fault.Error{Code: fault.Outcome}},
		"another domain":    {codes.Unavailable, []protoadapt.MessageV1{&errdetails.ErrorInfo{Domain: "example.com", Reason: "crm_rejected", Metadata: map[string]string{metaClass: "permanent"}}}, fault.Error{Code: fault.Outcome}},
		"only a wait":       {codes.ResourceExhausted, []protoadapt.MessageV1{wait(time.Second)}, fault.Error{Code: fault.Outcome}},
		"unknown code":      {codes.Internal, []protoadapt.MessageV1{ours("brand_new", "permanent", "")}, fault.Error{Code: fault.AdapterFault, Class: fault.Permanent}},
		"code of the host":  {codes.Internal, []protoadapt.MessageV1{ours("already_logged", "retryable", "")}, fault.Error{Code: fault.AdapterFault, Class: fault.Retryable}},
		"unknown class":     {codes.Internal, []protoadapt.MessageV1{ours("crm_rejected", "harmless", "")}, fault.Error{Code: fault.CRMRejected}},
		"source of another": {codes.Internal, []protoadapt.MessageV1{ours("crm_rejected", "permanent", "caller")}, fault.Error{Code: fault.CRMRejected, Class: fault.Permanent}},
		"sure of unknown":   {codes.Internal, []protoadapt.MessageV1{ours("outcome_unknown", "permanent", "")}, fault.Error{Code: fault.Outcome, Source: fault.Adapter}},
		"wait of a year":    {codes.Internal, []protoadapt.MessageV1{ours("rate_limited", "retryable", ""), wait(9000 * time.Hour)}, fault.Error{Code: fault.RateLimited, Class: fault.Retryable, RetryAfter: maxWait}},
		"wait backwards":    {codes.Internal, []protoadapt.MessageV1{ours("rate_limited", "retryable", ""), wait(-time.Hour)}, fault.Error{Code: fault.RateLimited, Class: fault.Retryable}},
		"two of ours":       {codes.Internal, []protoadapt.MessageV1{ours("crm_rejected", "unknown", ""), ours("crm_rejected", "permanent", "")}, fault.Error{Code: fault.CRMRejected}},
	} {
		st, err := status.New(c.code, strings.Repeat("\x00é", 4000)).WithDetails(c.details...)
		if err != nil {
			t.Fatal(err)
		}
		got := fromError(t.Context(), "", st.Err(), unscrubbed)
		if got.Code != c.want.Code || got.Class != c.want.Class || got.Source != c.want.Source || got.RetryAfter != c.want.RetryAfter {
			t.Errorf("%s: %+v, want %+v", name, *got, c.want)
		}
		if len(got.Msg) > maxTextBytes || !utf8.ValidString(got.Msg) || strings.ContainsRune(got.Msg, 0) {
			t.Errorf("%s: message of %d bytes is not clipped", name, len(got.Msg))
		}
		if len(got.Error()) > 4*maxTextBytes {
			t.Errorf("%s: error of %d bytes is not clipped", name, len(got.Error()))
		}
	}
}

func TestEndedCallsSayWhy(t *testing.T) {
	t.Parallel()
	late := fromError(t.Context(), "op", status.Error(codes.DeadlineExceeded, "late"), unscrubbed)
	if !errors.Is(late, context.DeadlineExceeded) || late.Class != fault.Unknown {
		t.Errorf("%v", late)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("host stops"))
	gone := fromError(ctx, "op", status.Error(codes.Canceled, "gone"), unscrubbed)
	if !errors.Is(gone, context.Canceled) || gone.Class != fault.Unknown {
		t.Errorf("%v", gone)
	}
}

// TestBrokenOffOnlyWithoutAnAnswer: a handler that returned, whatever it threw,
// does not hang, and its process must not be ended as one that does.
func TestBrokenOffOnlyWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	broken := map[codes.Code]bool{codes.Unavailable: true, codes.Canceled: true, codes.DeadlineExceeded: true}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		f := fromError(t.Context(), "op", status.Error(code, "thrown"), unscrubbed)
		if f.Code != fault.Outcome || f.Class != fault.Unknown {
			t.Errorf("%s reads as %+v", code, f)
		}
		if got := errors.Is(f, ErrBrokenOff); got != broken[code] {
			t.Errorf("%s is broken off: %v, want %v", code, got, broken[code])
		}
		if !strings.Contains(f.Error(), "thrown") {
			t.Errorf("%s: the cause is lost: %v", code, f)
		}
	}
	for _, code := range fault.Codes() {
		f := fromError(t.Context(), "op", toStatus(&fault.Error{Code: code}, unscrubbed), unscrubbed)
		if errors.Is(f, ErrBrokenOff) {
			t.Errorf("a fault of the adapter, %s, reads as broken off", code)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		most int
		want string
	}{
		"short":              {"abc", 10, "abc"},
		"exact":              {"abc", 3, "abc"},
		"inside a character": {"aé", 2, "a"},
		"four bytes":         {"ab🙂", 5, "ab"},
		"control":            {"a\x00b\nc\td\x1b", 20, "a\uFFFDb\nc\td\uFFFD"},
		"not UTF-8":          {"a\xffb", 10, "a\uFFFDb"},
		"grows":              {"\x00\x00\x00\x00\x00\x00\x00\x00", 8, "\uFFFD"},
	} {
		if got := clip(c.in, c.most); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("a\xff\x00é🙂", 16)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 16 + max(most%1024, -8)
		if got := clip(text, most); len(got) > most || !utf8.ValidString(got) {
			t.Errorf("%d bytes, most %d, valid %v", len(got), most, utf8.ValidString(got))
		}
	})
}

func TestScrubber(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ header, in, want string }{
		"whole":          {"Bearer abcd1234", "sent Bearer abcd1234.", "sent [redacted]."},
		"token":          {"Bearer abcd1234", "token=abcd1234&x", "token=[redacted]&x"},
		"in a query":     {"Bearer ab+cd/12==", "?t=ab%2Bcd%2F12%3D%3D", "?t=[redacted]"},
		"decoded basic":  {"Basic a2V5LTEyMzpwYXNz", "login key-123 with pass", "login [redacted] with [redacted]"},
		"bare":           {"abcd1234", "abcd1234", "[redacted]"},
		"too short":      {"Bearer abc", "abc stays, Bearer abc goes", "abc stays, [redacted] goes"},
		"no secret":      {"", "nothing here", "nothing here"},
		"credentials ''": {"Bearer ", "a Bearer b", "a [redacted]b"},
	} {
		if got := scrubber(sdk.NewSecret(c.header))(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"01J8Z": true, strings.Repeat("x", 128): true, "": false, strings.Repeat("x", 129): false,
		"a b": false, "a\nb": false, "é": false,
	} {
		if got := RequestID(WithRequestID(t.Context(), id)) == id && id != ""; got != want {
			t.Errorf("%q travels: %v, want %v", id, got, want)
		}
	}
}
