package sdktest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// TestScripts plays, over the wire, the scripts that a test's own process
// survives. sdk/serve tries the others.
func TestScripts(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]struct {
		code  fault.Code // "" for a log ID
		class fault.Class
	}{
		"ok": {}, "echo": {}, "": {}, "slow:1ms": {}, "leak:1": {}, "not-serving": {},
		"wait":                        {fault.Outcome, fault.Unknown},
		"slow:1h":                     {fault.Outcome, fault.Unknown},
		"slow:soon":                   {fault.NotSupported, fault.Permanent},
		"panic":                       {fault.AdapterFault, fault.Unknown},
		"plain-error":                 {fault.AdapterFault, fault.Unknown},
		"error:crm_rejected":          {fault.CRMRejected, fault.Permanent},
		"error:rate_limited":          {fault.RateLimited, fault.Retryable},
		"error:crm_rejected:unknown":  {fault.CRMRejected, fault.Unknown},
		"error:adapter_unavailable":   {fault.AdapterFault, fault.Retryable},
		"error:nonsense":              {fault.AdapterFault, fault.Unknown},
		"empty-id":                    {fault.AdapterFault, fault.Unknown},
		"huge-id":                     {fault.AdapterFault, fault.Unknown},
		"control-id":                  {fault.AdapterFault, fault.Unknown},
		"nil-response":                {fault.AdapterFault, fault.Unknown},
		"nonsense":                    {fault.NotSupported, fault.Permanent},
		"exit-at-start:1":             {fault.NotSupported, fault.Permanent},
		"find:error:crm_unauthorized": {fault.CRMUnauthorized, fault.Permanent},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if script == "wait" || script == "slow:1h" {
				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
			}
			defer cancel()
			resp, err := Pair(t, Scripted(script)).AddMessageLog(ctx, Request())
			if err == nil && (want.code != "" || resp.LogID == "") {
				t.Errorf("answers %+v", resp)
			}
			if err != nil && (fault.CodeOf(err) != want.code || fault.ClassOf(err) != want.class) {
				t.Errorf("%v of class %s, want %s of class %s", err, fault.ClassOf(err), want.code, want.class)
			}
			if fault.ClassOf(err) == fault.Retryable && fault.RetryAfterOf(err) != time.Second {
				t.Errorf("wait %s", fault.RetryAfterOf(err))
			}
		})
	}
}

// TestSpin shows that the script ends with its call. Whether the answer still
// arrives depends on who sees the end first.
func TestSpin(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if resp, err := Scripted("spin").AddMessageLog(ctx, Request()); err != nil || resp.LogID == "" || ctx.Err() == nil {
		t.Errorf("%+v, %v, context %v", resp, err, ctx.Err())
	}
}

func TestScriptedHealthAndSearch(t *testing.T) {
	t.Parallel()
	if h, err := Pair(t, Scripted("not-serving")).CheckHealth(t.Context()); err != nil || h.Serving || h.Message == "" {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := Pair(t, Scripted("sick-panic")).CheckHealth(t.Context()); err != nil || h.Serving {
		t.Errorf("%+v, %v", h, err)
	}
	client := Pair(t, Scripted("find:ok"))
	req := Request()
	if r, err := client.FindMessageLog(t.Context(), FindRequest(req)); err != nil || r.Verdict != sdk.VerdictNotFound {
		t.Errorf("%+v, %v", r, err)
	}
	resp, err := client.AddMessageLog(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := client.FindMessageLog(t.Context(), FindRequest(req)); err != nil || len(r.LogIDs) != 1 || r.LogIDs[0] != resp.LogID {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Pair(t, Scripted("ok")).FindMessageLog(t.Context(), FindRequest(req)); fault.CodeOf(err) != fault.NotSupported {
		t.Errorf("%v", err)
	}
}

// TestRecords is not parallel: it sets the environment.
func TestRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	if got := ReadRecords(t, path); got != nil {
		t.Errorf("records without a file: %v", got)
	}
	t.Setenv(EnvRecord, path)
	client := Pair(t, Scripted("find:ok"))
	req := Request(SeedMessage(), Message(1, "two"))
	req.ContactInfo = Contact(`{ "id": 9007199254740993, "type":"lead","zz":"<>" }`)
	req.AdditionalSubmission = sdk.Values{"script": sdk.TextValue("panic"), "deal": sdk.RawValue([]byte("12345678901234567890"))}
	_, _ = client.AddMessageLog(rpc.WithRequestID(t.Context(), "req-1"), req) // it panics, once it is recorded
	_, _ = client.FindMessageLog(t.Context(), FindRequest(req))
	got := ReadRecords(t, path)
	if len(got) != 2 || got[0].Op != "AddMessageLog" || got[1].Op != "FindMessageLog" || got[1].SentBefore.IsZero() {
		t.Fatalf("%+v", got)
	}
	r := got[0]
	if r.RequestID != "req-1" || r.PID != os.Getpid() || r.AuthHeader != "Bearer sdktest-token" || r.Tenant != "acme" || !r.NotAfter.Equal(req.NotAfter) {
		t.Errorf("%+v", r)
	}
	if !bytes.Equal(r.Contact, req.ContactInfo.Raw) || r.ContactID != req.ContactInfo.ID || !bytes.Equal(r.Messages[0], SeedJSON()) {
		t.Errorf("contact %s, id %s", r.Contact, r.ContactID)
	}
	if r.ConversationIDs[0] != "5578984350117917661" || r.MessageIDs[1] != "1" || r.AdditionalSubmission["deal"].String() != "12345678901234567890" {
		t.Errorf("%+v", r)
	}
	if r.LocalTime != "2015-02-18T05:24:50-08:00" {
		t.Errorf("local time %s", r.LocalTime)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with secrets: %v, %v", info, err)
	}
}

func TestBuilders(t *testing.T) {
	t.Parallel()
	a, b := Message(1, "one"), Message(2, "two")
	if !a.CreationTime.Before(b.CreationTime) || a.ID.String() != "1" || a.Subject != "one" || a.ConversationID.String() != "5578984350117917661" {
		t.Errorf("%+v", a)
	}
	if m := MessageWith(map[string]any{"subject": nil}); m.Subject != "" || m.ID.String() != "60279564004" || bytes.Contains(m.Raw, []byte("subject")) {
		t.Errorf("%s", m.Raw)
	}
	key, again, other := Request(a).IdempotencyKey, Request(a).IdempotencyKey, Request(b).IdempotencyKey
	if key != again || key == other {
		t.Error("the idempotency key is not that of the messages")
	}
	r := Request()
	if r.OffsetSeconds != -8*3600 || r.ContactInfo.ID.String() != "7" || !r.ContactInfo.ID.IsNumber() || len(r.Messages) != 1 {
		t.Errorf("%+v", r)
	}
	if f := FindRequest(r); !f.Original.NotAfter.IsZero() || r.NotAfter.IsZero() {
		t.Error("a search has a send window, or its original lost it")
	}
	for name, bad := range map[string]func(){
		"message": func() { MessageWith(map[string]any{"id": nil}) },
		"user":    func() { User("[]") },
		"contact": func() { Contact("{}") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a bad %s is made", name)
				}
			}()
			bad()
		}()
	}
}
