package relay

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Config bounds what the relay does. Zero fields take the defaults named here.
type Config struct {
	// MaxWait is the longest that a caller may wait; 60 s.
	MaxWait time.Duration
	// Tries is how often one attempt may be sent within its window, after faults
	// that surely sent nothing; 3.
	Tries int
	// RetryBase is the longest wait before the second try; it doubles for each
	// further one; 100 ms.
	RetryBase time.Duration
	// Searches is how many searches for unknown entries of one adapter may run at
	// once in the background; 8.
	Searches int
	// StopGrace is how long calls in flight may go on once Run is told to stop;
	// 10 s.
	StopGrace time.Duration
	// PayloadTTL is how long a stored request is kept at most; 72 h.
	PayloadTTL time.Duration
}

func (c Config) withDefaults() Config {
	c.MaxWait = cmp.Or(c.MaxWait, time.Minute)
	c.Tries = cmp.Or(c.Tries, 3)
	c.RetryBase = cmp.Or(c.RetryBase, 100*time.Millisecond)
	c.Searches = cmp.Or(c.Searches, 8)
	c.StopGrace = cmp.Or(c.StopGrace, 10*time.Second)
	c.PayloadTTL = cmp.Or(c.PayloadTTL, 72*time.Hour)
	return c
}

func (c Config) validate() error {
	var errs []error
	positive := func(name string, ok bool) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s must be positive", name))
		}
	}
	positive("MaxWait", c.MaxWait > 0)
	positive("Tries", c.Tries > 0)
	positive("RetryBase", c.RetryBase > 0)
	positive("Searches", c.Searches > 0)
	positive("StopGrace", c.StopGrace > 0)
	positive("PayloadTTL", c.PayloadTTL > 0)
	return errors.Join(errs...)
}
