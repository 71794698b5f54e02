package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// The keys of a record's own fields, in hclog's JSON form, which hosts read.
const (
	keyTime      = "@timestamp"
	keyLevel     = "@level"
	keyMessage   = "@message"
	keyRequestID = "request_id"
)

// timeLayout is hclog's.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// maxValueBytes bounds one text in a record: a host reads lines of bounded
// length.
const maxValueBytes = 8 << 10

// handler writes records as lines of JSON and adds the request id from the
// context at the top level, even when groups are open.
type handler struct {
	plain slog.Handler // without groups and what was added inside them
	full  slog.Handler // with them
	// steps lead from plain to full.
	steps []func(slog.Handler) slog.Handler
}

// newHandler returns a handler that writes to w, one Write for each record.
func newHandler(w io.Writer, level slog.Leveler) slog.Handler {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replace})
	return &handler{plain: h, full: h}
}

// Enabled reports whether records of that level are written.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.plain.Enabled(ctx, level)
}

// Handle writes one record.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := h.full
	if id := rpc.RequestID(ctx); id != "" {
		out = h.plain.WithAttrs([]slog.Attr{slog.String(keyRequestID, id)})
		for _, step := range h.steps {
			out = step(out)
		}
	}
	if len(h.steps) > 0 {
		return out.Handle(ctx, r)
	}
	renamed := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		renamed.AddAttrs(ownKey(a))
		return true
	})
	return out.Handle(ctx, renamed)
}

// WithAttrs returns a handler that adds attrs to each record.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.steps) > 0 { // inside a group no key is taken
		return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
	}
	own := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		own[i] = ownKey(a)
	}
	next := h.plain.WithAttrs(own)
	return &handler{plain: next, full: next}
}

// WithGroup returns a handler that puts what follows into a group.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *handler) then(step func(slog.Handler) slog.Handler) slog.Handler {
	steps := slices.Concat(h.steps, []func(slog.Handler) slog.Handler{step})
	return &handler{plain: h.plain, full: step(h.full), steps: steps}
}

// ownKey moves an author's attribute out of the way of the record's own fields.
func ownKey(a slog.Attr) slog.Attr {
	switch {
	case a.Key == slog.TimeKey, a.Key == slog.LevelKey, a.Key == slog.MessageKey, a.Key == keyRequestID,
		strings.HasPrefix(a.Key, "@"):
		a.Key = "attr." + a.Key
	}
	return a
}

// replace gives the record's own fields the names and forms of hclog and cuts
// long texts.
func replace(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch v := a.Value; a.Key {
		case slog.TimeKey:
			if v.Kind() == slog.KindTime {
				return slog.String(keyTime, v.Time().Format(timeLayout))
			}
		case slog.LevelKey:
			level, _ := v.Any().(slog.Level)
			return slog.String(keyLevel, levelName(level))
		case slog.MessageKey:
			return slog.String(keyMessage, cut(v.String()))
		}
	}
	switch v := a.Value; v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(cut(v.String()))
	case slog.KindAny:
		if err, ok := v.Any().(error); ok && err != nil {
			a.Value = slog.StringValue(cut(errorText(err)))
		}
	}
	return a
}

// errorText returns err's text, even when asking for it panics, as it does for
// many a typed nil.
func errorText(err error) (text string) {
	defer func() {
		if cause := recover(); cause != nil {
			text = fmt.Sprintf("%T whose text cannot be had", err)
		}
	}()
	return err.Error()
}

func cut(text string) string {
	if len(text) <= maxValueBytes {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes omitted)", strings.ToValidUTF8(text[:maxValueBytes], ""), len(text)-maxValueBytes)
}

// levelName returns hclog's name of the level at or below.
func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelDebug:
		return "trace"
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	default:
		return "error"
	}
}
