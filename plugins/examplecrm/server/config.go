package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// The defaults of Config.
const (
	defaultMaxBody       = 1 << 20
	defaultMaxBytes      = 1 << 30
	defaultMaxConcurrent = 4096
)

// Config configures a Server.
type Config struct {
	// Tokens are the valid credentials; at least one. A token holds no colon, for
	// it must fit into Basic authentication.
	Tokens []string
	// Database is the path of the SQLite file. Empty keeps the records in memory
	// only.
	Database string
	// RequireContacts refuses activities for contacts that were not created
	// before. By default an unknown contact is created without a name, as if it
	// had come from elsewhere.
	RequireContacts bool
	// Switches are the switches at the start. They can be changed at any time.
	Switches Switches
	// MaxBody is the largest request body in bytes; default 1 MiB.
	MaxBody int64
	// MaxBytes bounds the records, in bytes of memory, roughly; default 1 GiB.
	// Creates beyond it are answered with 507.
	MaxBytes int64
	// MaxConcurrent is how many requests are worked on at once, late writes
	// included; default 4,096. Further ones are answered with 503.
	MaxConcurrent int
	// Seed makes the switches' probabilities repeatable; default random.
	Seed uint64
}

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultMaxBytes)
	c.MaxConcurrent = cmp.Or(c.MaxConcurrent, defaultMaxConcurrent)
	c.Seed = cmp.Or(c.Seed, rand.Uint64())
	return c
}

func (c Config) validate() error {
	var faults []error
	if len(c.Tokens) == 0 {
		faults = append(faults, errors.New("tokens: at least one is needed"))
	}
	for i, token := range c.Tokens {
		if token == "" || strings.ContainsAny(token, ": \t\r\n") {
			faults = append(faults, fmt.Errorf("tokens: number %d is empty or holds a colon or a space", i+1))
		}
	}
	if c.MaxBody < 0 || c.MaxBytes < 0 || c.MaxConcurrent < 0 {
		faults = append(faults, errors.New("maxBody, maxBytes, maxConcurrent: must not be negative"))
	}
	if err := c.Switches.validate(); err != nil {
		faults = append(faults, fmt.Errorf("switches: %w", err))
	}
	return errors.Join(faults...)
}

// tokens is the set of valid credentials, kept as hashes so that a lookup takes
// the same time however much of a token is right.
type tokens map[[sha256.Size]byte]struct{}

func newTokens(texts []string) tokens {
	t := make(tokens, len(texts))
	for _, text := range texts {
		t[sha256.Sum256([]byte(text))] = struct{}{}
	}
	return t
}

// accepts reports whether an Authorization header carries a valid token, as
// Bearer or as the user name of Basic.
func (t tokens) accepts(header string) bool {
	scheme, credentials, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
	case strings.EqualFold(scheme, "Basic"):
		decoded, err := base64.StdEncoding.DecodeString(credentials)
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok || password != "" {
			return false
		}
		credentials = user
	default:
		return false
	}
	_, ok := t[sha256.Sum256([]byte(credentials))]
	return ok
}
