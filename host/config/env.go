package config

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// Names returns the names of the variables, sorted.
func (e Env) Names() []string { return slices.Sorted(maps.Keys(e)) }

// String returns the names only.
func (e Env) String() string { return "[" + strings.Join(e.Names(), " ") + "]" }

// Format writes the names only, whatever the verb.
func (e Env) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue returns the names only.
func (e Env) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON returns the names with redacted values.
func (e Env) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range e.Names() {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%q", name, "[redacted]")
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}
