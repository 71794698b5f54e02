package faulty

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestContract(t *testing.T) {
	sdktest.Run(t, func(*testing.T) sdk.Adapter { return New() })
}

func TestCannotSearch(t *testing.T) {
	t.Parallel()
	if _, can := any(New()).(sdk.MessageLogFinder); can {
		t.Error("faulty must have no FindMessageLog: its records die with it")
	}
}

// told returns a request that carries the script.
func told(script string) *sdk.AddMessageLogRequest {
	req := sdktest.Request(sdktest.Message(1, "one"), sdktest.Message(2, "two"))
	req.AdditionalSubmission = sdk.Values{"script": sdk.TextValue(script)}
	return req
}

func TestOK(t *testing.T) {
	t.Parallel()
	first, second := New(), New()
	seen := map[string]bool{}
	for _, a := range []*Adapter{first, second, first} {
		for _, script := range []string{"ok", ""} {
			resp, err := a.AddMessageLog(t.Context(), told(script))
			if err != nil || seen[resp.LogID] || sdk.CheckLogID(resp.LogID) != nil {
				t.Fatalf("%q: got %+v, %v", script, resp, err)
			}
			seen[resp.LogID] = true
		}
	}
	records := first.Records()
	if len(records) != 4 || len(second.Records()) != 2 {
		t.Fatalf("%d and %d records", len(records), len(second.Records()))
	}
	want := Record{records[0].LogID, told("ok").IdempotencyKey, "7", []string{"1", "2"}}
	if !seen[records[0].LogID] || fmt.Sprint(records[0]) != fmt.Sprint(want) {
		t.Errorf("record %+v, want %+v", records[0], want)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	a, req := New(), told("ok")
	for range maxRecords + 3 {
		if _, err := a.write(req); err != nil {
			t.Fatal(err)
		}
	}
	records := a.Records()
	if len(records) != maxRecords || !strings.HasSuffix(records[0].LogID, "-4") {
		t.Errorf("%d records, the first is %s", len(records), records[0].LogID)
	}
}

func TestRefusedScripts(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"nonsense": "fork-and-die", "OK": "slow:<duration>", "ok:1": "no such script", "slow": "no such script", ":": "no such script",
		"slow:soon": "duration", "slow:-1s": "duration", "slow:2h": "duration",
		"exit:": "from 0 to 255", "exit:256": "from 0 to 255", "exit:-1": "from 0 to 255",
		"leak:0": "from 1 to", "leak:1000000": "from 1 to", "stdout:x": "from 1 to", "stdout:2000": "from 1 to",
		"error:":                        "crm_rejected",
		"error:nonsense":                "crm_rejected",
		"error:forbidden":               "crm_rejected",
		"error:crm_rejected:":           "retryable",
		"error:crm_rejected:always":     "retryable",
		"error:crm_rejected:Retryable":  "retryable",
		"error:crm_rejected:unknown:no": "retryable",
	} {
		a := New()
		resp, err := a.AddMessageLog(t.Context(), told(script))
		if resp != nil || fault.CodeOf(err) != fault.CRMRejected || fault.ClassOf(err) != fault.Permanent {
			t.Errorf("%q: got %v, %v", script, resp, err)
		}
		if !strings.Contains(fault.MessageOf(err), want) {
			t.Errorf("%q: the message %q does not say %q", script, fault.MessageOf(err), want)
		}
		if len(a.Records()) != 0 {
			t.Errorf("%q made a record", script)
		}
	}
	for _, s := range scripts {
		if !strings.Contains(unknownScript().Error(), s.form) {
			t.Errorf("the refusal does not name %s", s.form)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	codes := fault.AdapterCodes()
	if len(codes) < 7 {
		t.Fatalf("only %d codes", len(codes))
	}
	for _, code := range codes {
		classes := map[string]fault.Class{
			"": code.Class(), ":unknown": fault.Unknown, ":retryable": fault.Retryable, ":permanent": fault.Permanent,
		}
		for suffix, class := range classes {
			_, err := New().AddMessageLog(t.Context(), told("error:"+string(code)+suffix))
			if fault.CodeOf(err) != code || fault.ClassOf(err) != class {
				t.Errorf("%s%s: got %v", code, suffix, err)
			}
			if waits := fault.RetryAfterOf(err) > 0; waits != (class == fault.Retryable) {
				t.Errorf("%s%s: wait of %s", code, suffix, fault.RetryAfterOf(err))
			}
		}
	}
}

func TestErrorsOverTheWire(t *testing.T) {
	t.Parallel()
	client := sdktest.Pair(t, New())
	for _, script := range []string{"error:rate_limited", "error:crm_unavailable:permanent", "error:unsupported", "error:outcome_unknown"} {
		want, _ := fault.As(mustFail(t, New(), script))
		got, isFault := fault.As(mustFail(t, client, script))
		if !isFault || got.Code != want.Code || got.Class != want.Class || got.RetryAfter != want.RetryAfter {
			t.Errorf("%s: got %+v, want %+v", script, got, want)
		}
	}
	for _, script := range []string{"empty-id", "huge-id", "panic"} {
		err := mustFail(t, client, script)
		if fault.CodeOf(err) != fault.AdapterFault || fault.ClassOf(err) != fault.Unknown {
			t.Errorf("%s: got %v", script, err)
		}
	}
}

func mustFail(t *testing.T, a sdk.Adapter, script string) error {
	t.Helper()
	resp, err := a.AddMessageLog(t.Context(), told(script))
	if err == nil {
		t.Fatalf("%s: answered %+v", script, resp)
	}
	return err
}

func TestSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, began := New(), time.Now()
		if _, err := a.AddMessageLog(t.Context(), told("slow:3s")); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.AddMessageLog(ctx, told("slow:3s"))
		if fault.ClassOf(err) != fault.Unknown || len(a.Records()) != 2 {
			t.Errorf("given up: %v with %d records", err, len(a.Records()))
		}
	})
}

func TestSendWindow(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"ok", "slow:0s", "empty-id", "crash-after-write", "leak:1"} {
		a, req := New(), told(script)
		req.NotAfter = time.Now()
		resp, err := a.AddMessageLog(t.Context(), req)
		if resp != nil || fault.ClassOf(err) != fault.Retryable || len(a.Records()) != 0 {
			t.Errorf("%s: got %v, %v", script, resp, err)
		}
	}
}

func TestUnusableIDsAreOfRecordsThatExist(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"empty-id", "huge-id"} {
		a := New()
		resp, err := a.AddMessageLog(t.Context(), told(script))
		if err != nil || sdk.CheckLogID(resp.LogID) == nil || len(a.Records()) != 1 {
			t.Errorf("%s: %d bytes, %v, %d records", script, len(resp.LogID), err, len(a.Records()))
		}
	}
}

func TestPanicIsAPanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("nothing panicked")
		}
	}()
	_, _ = New().AddMessageLog(t.Context(), told("panic"))
}

func TestLeak(t *testing.T) {
	t.Parallel()
	a := New()
	for range 2 {
		if _, err := a.AddMessageLog(t.Context(), told("leak:3")); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.kept) != 6 || slices.ContainsFunc(a.kept, func(b []byte) bool { return len(b) != mebibyte || b[4096] != 1 }) {
		t.Errorf("keeps %d blocks", len(a.kept))
	}
}

func TestHealth(t *testing.T) {
	for start, serving := range map[string]bool{
		"": true, "ok": true, "exit:3": true, "slow:1s": true, "sick": false, "nonsense": false, "exit": false, "exit:x": false, "ok:1": false,
	} {
		t.Setenv(envStart, start)
		health, err := New().CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
		if err != nil || health.Serving != serving || (health.Message == "") != serving {
			t.Errorf("%q: got %+v, %v", start, health, err)
		}
	}
}

func TestClosedOutputIsAFault(t *testing.T) {
	t.Parallel()
	err := writeAll(-1, []byte("x"))
	if fault.ClassOf(err) != fault.Permanent || errors.Unwrap(err) == nil {
		t.Errorf("got %v", err)
	}
}
