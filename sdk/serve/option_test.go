package serve

import (
	"log/slog"
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
	}
}
