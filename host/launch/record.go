package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxTextBytes is the longest text of an adapter in one log attribute.
	maxTextBytes = 4 << 10
	// maxStackBytes is the longest text of the attribute stackName: a stack says
	// where a panic came from only further down. It is as much as the SDK sends.
	maxStackBytes = 8 << 10
	stackName     = "stack"
	// maxAttrs is the number of attributes taken from one record.
	maxAttrs = 64
	// maxKeyBytes is the longest name of such an attribute.
	maxKeyBytes = 64
	// maxRequestIDBytes is the longest request id.
	maxRequestIDBytes = 128
)

// record is one log record of an adapter: a line of JSON in hclog's form. Any
// member may be of any type.
type record struct {
	level     slog.Level
	message   string
	requestID string
	attrs     []any // of slog.Attr
}

// parseRecord reads a line of JSON that has a message; ok is false for any other
// line.
func parseRecord(line []byte) (rec record, ok bool) {
	if line = bytes.TrimSpace(line); len(line) == 0 || line[0] != '{' {
		return record{}, false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil {
		return record{}, false
	}
	levelKey := "@level"
	message, ok := take(members, "@message")
	if !ok { // not hclog's form, but that of many other loggers
		levelKey = "level"
		message, ok = take(members, "message", "msg")
	}
	if !ok {
		return record{}, false
	}
	level, _ := take(members, levelKey)
	id, _ := take(members, "request_id")
	delete(members, "@timestamp")
	rec = record{level: levelOf(text(level, maxTextBytes)), message: text(message, maxTextBytes), requestID: requestID(text(id, maxTextBytes))}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(rec.attrs) == maxAttrs {
			rec.attrs = append(rec.attrs, slog.Int("omitted", len(members)-maxAttrs))
			break
		}
		rec.attrs = append(rec.attrs, slog.Any(clean([]byte(name), maxKeyBytes), attribute(name, members[name])))
	}
	return rec, true
}

// log writes the record under the host's own keys; what the adapter chose stands
// in a group, so that it cannot pass for them.
func (r record) log(log *slog.Logger) {
	if !enabled(log, r.level) {
		return
	}
	args := make([]any, 0, 2)
	if r.requestID != "" {
		args = append(args, slog.String("request_id", r.requestID))
	}
	own := append([]any{slog.String("message", r.message)}, r.attrs...)
	args = append(args, slog.Group("record", own...))
	log.Log(context.Background(), r.level, "adapter logged", args...)
}

// take removes the first member that is there.
func take(members map[string]json.RawMessage, names ...string) (json.RawMessage, bool) {
	for _, name := range names {
		if raw, ok := members[name]; ok {
			delete(members, name)
			return raw, true
		}
	}
	return nil, false
}

// attribute returns what is logged of an attribute. A stack may be longer than
// other texts, and keeps its lines.
func attribute(name string, raw json.RawMessage) any {
	var lines string
	if name == stackName && len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &lines) == nil {
		return cleanBut([]byte(lines), maxStackBytes, '\t', '\n')
	}
	return value(raw, maxTextBytes)
}

// text returns at most limit bytes of a string's text, or of the JSON of anything
// else.
func text(raw json.RawMessage, limit int) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return clean([]byte(s), limit)
	}
	return clean(raw, limit)
}

// value returns integers and booleans as such and everything else as text of at
// most limit bytes.
func value(raw json.RawMessage, limit int) any {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n
	}
	switch string(raw) {
	case "true":
		return true
	case "false":
		return false
	}
	return text(raw, limit)
}

// levelOf reads a level by its name. Nothing is above error or below debug, and
// what it does not know is info.
func levelOf(name string) slog.Level {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "fatal", "panic", "critical":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// requestID returns the id when it has a request id's form, else nothing.
func requestID(id string) string {
	if len(id) > maxRequestIDBytes {
		return ""
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return ""
		}
	}
	return id
}
