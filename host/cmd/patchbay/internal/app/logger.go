package app

import (
	"io"
	"log/slog"

	"github.com/patchbay-crm/patchbay/host/config"
)

// NewLogger returns the logger that the configuration asks for.
func NewLogger(w io.Writer, c *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
