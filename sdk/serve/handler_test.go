package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// record logs once through a fresh handler and returns the line as JSON.
func record(t *testing.T, level slog.Leveler, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(slog.New(newHandler(&out, level)))
	if out.Len() == 0 {
		return nil
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 {
		t.Fatalf("one record became %d lines: %s", n, out.Bytes())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("no JSON: %s", out.Bytes())
	}
	return line
}

func TestRecordsAreInHclogForm(t *testing.T) {
	t.Parallel()
	ctx := rpc.WithRequestID(t.Context(), "req-1")
	line := record(t, slog.LevelDebug, func(l *slog.Logger) { l.WarnContext(ctx, "contact not found\nreally", "contact", 7) })
	if line["@level"] != "warn" || line["@message"] != "contact not found\nreally" || line["request_id"] != "req-1" || line["contact"] != 7.0 {
		t.Errorf("%v", line)
	}
	stamp, _ := line["@timestamp"].(string)
	if at, err := time.Parse(timeLayout, stamp); err != nil || time.Since(at) > time.Minute {
		t.Errorf("timestamp %q: %v", stamp, err)
	}
	if len(line) != 5 {
		t.Errorf("more than was logged: %v", line)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		-8: "trace", slog.LevelDebug: "debug", slog.LevelInfo: "info", slog.LevelInfo + 2: "info",
		slog.LevelWarn: "warn", slog.LevelError: "error", 12: "error",
	} {
		line := record(t, slog.Level(-8), func(l *slog.Logger) { l.Log(context.Background(), level, "m") })
		if line["@level"] != want {
			t.Errorf("level %d is %v, want %s", level, line["@level"], want)
		}
	}
	if line := record(t, slog.LevelWarn, func(l *slog.Logger) { l.Info("m") }); line != nil {
		t.Errorf("logged below the level: %v", line)
	}
}

// TestAuthorsKeys shows that attributes never pose as the record's own fields, and
// that the request id stays at the top.
func TestAuthorsKeys(t *testing.T) {
	t.Parallel()
	ctx := rpc.WithRequestID(t.Context(), "req-1")
	line := record(t, slog.LevelInfo, func(l *slog.Logger) {
		l.With("level", "forged", "@message", "forged").InfoContext(ctx, "m", "time", "noon", "msg", 1, "request_id", "forged")
	})
	for key, want := range map[string]any{
		"@level": "info", "@message": "m", "request_id": "req-1", "attr.level": "forged",
		"attr.@message": "forged", "attr.time": "noon", "attr.msg": 1.0, "attr.request_id": "forged",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	line = record(t, slog.LevelInfo, func(l *slog.Logger) {
		l.With("a", 1).WithGroup("crm").With("level", "kept").WithGroup("deep").InfoContext(ctx, "m", "msg", "kept")
	})
	crm, _ := line["crm"].(map[string]any)
	deep, _ := crm["deep"].(map[string]any)
	if line["request_id"] != "req-1" || line["a"] != 1.0 || crm["level"] != "kept" || deep["msg"] != "kept" {
		t.Errorf("%v", line)
	}
	line = record(t, slog.LevelInfo, func(l *slog.Logger) {
		l.WithGroup("").Info("m", slog.Group("", slog.String("time", "noon"), slog.String("level", "odd")))
	})
	if line["@message"] != "m" {
		t.Errorf("%v", line)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxValueBytes)
	var none *os404
	line := record(t, slog.LevelInfo, func(l *slog.Logger) {
		l.Info(long, "text", long, "error", errors.New(long), "nil", none, "auth", sdk.NewSecret("token"),
			"request", &sdk.AddMessageLogRequest{AuthHeader: sdk.NewSecret("token")})
	})
	for _, key := range []string{"@message", "text", "error"} {
		text, _ := line[key].(string)
		if len(text) > maxValueBytes+64 || !strings.HasSuffix(text, "bytes omitted)") {
			t.Errorf("%s is %d bytes long", key, len(text))
		}
	}
	if line["nil"] != "*serve.os404 whose text cannot be had" || line["auth"] != "[redacted]" {
		t.Errorf("nil error %v, secret %v", line["nil"], line["auth"])
	}
	if whole, _ := json.Marshal(line); bytes.Contains(whole, []byte("token\"")) {
		t.Errorf("a secret is logged: %.200s", whole)
	}
}

// os404 is an error that cannot be asked when it is nil.
type os404 struct{ text string }

func (e *os404) Error() string { return e.text }

func TestLifelineEnds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := -1
	watchLifeline(strings.NewReader("ignored"), slog.New(newHandler(&out, slog.LevelInfo)), func(c int) { code = c })
	if code != exitHostVanished || !strings.Contains(out.String(), "host gone") {
		t.Errorf("exit code %d, logged %s", code, &out)
	}
}
