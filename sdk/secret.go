package sdk

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what stands for a secret wherever one is printed.
const redacted = "[redacted]"

// Secret is text that must not be seen. It prints as "[redacted]" with every
// verb of fmt, in logs, in JSON and in text encodings. Reveal returns the text.
// The zero value is the empty secret. Two secrets are not to be compared with ==.
type Secret struct {
	// A pointer, since fmt does not ask Format for some verbs (%w and %p) and
	// prints fields instead: an address then.
	text *string
}

// NewSecret returns the secret with that text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text itself. Call it where the secret is used, never where
// something is logged or reported.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]", whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns the JSON string "[redacted]".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
