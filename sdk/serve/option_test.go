package serve

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLogLevelFrom(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "WARN": slog.LevelWarn, "loud": slog.LevelInfo,
	} {
		t.Setenv("ACME_LOG_LEVEL", text)
		var o options
		LogLevelFrom("ACME_LOG_LEVEL")(&o)
		if got := o.level.Level(); got != want {
			t.Errorf("%q gave %s, want %s", text, got, want)
		}
		if unknown := o.unknown != (unknownLevel{}); unknown != (text == "loud") {
			t.Errorf("%q: unknown is %v", text, unknown)
		}
	}
}

func TestUnknownLevel(t *testing.T) {
	t.Parallel()
	for text, shown := range map[string]string{
		"loud": `"text":"loud"`, "\x1b[2Jlo\nud\u202e": `"text":"[2Jloud"`, strings.Repeat("é", 40): `"text":"` + strings.Repeat("é", 16) + `"`,
	} {
		var out strings.Builder
		unknownLevel{"ACME_LOG_LEVEL", text}.warn(slog.New(newHandler(&out, slog.LevelInfo)))
		for _, want := range []string{`"@level":"warn"`, `"variable":"ACME_LOG_LEVEL"`, shown, "debug, info, warn, error"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q logged %s without %s", text, &out, want)
			}
		}
	}
	var out strings.Builder
	if (unknownLevel{}).warn(slog.New(newHandler(&out, slog.LevelInfo))); out.Len() > 0 {
		t.Errorf("logged %s", &out)
	}
}
