package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Config is the policy of a Fleet and its Supervisors. Zero fields take the
// defaults named here.
type Config struct {
	// Log takes state changes and crashes; default slog.Default().
	Log *slog.Logger
	// MinBackoff is doubled for every further restart; default 100 ms. The first
	// restart happens at once, the n-th waits a random part of MinBackoff x 2^(n-1).
	MinBackoff time.Duration
	// MaxBackoff is the longest wait before a restart; default 30 s.
	MaxBackoff time.Duration
	// StableAfter is the age at which a process counts as working even though no
	// call came, so that its next crash is followed by a restart at once; 1 min.
	StableAfter time.Duration
	// MaxBadStarts in a row lead into quarantine; default 5.
	MaxBadStarts int
	// MinProbation is the length of the first quarantine; default 1 min. It
	// doubles with each.
	MinProbation time.Duration
	// MaxProbation is the longest quarantine; default 30 min.
	MaxProbation time.Duration
	// HealthEvery is the time between two health checks; default 5 s.
	HealthEvery time.Duration
	// HealthTimeout is the deadline of one health check; default 2 s.
	HealthTimeout time.Duration
	// HealthMisses unanswered checks in a row mean that the process hangs;
	// default 3.
	HealthMisses int
	// DrainTimeout is how long calls may go on in a process that is being ended
	// or replaced; default 30 s.
	DrainTimeout time.Duration
	// CondemnTimeout is the same for the other calls of a condemned process;
	// default 10 s.
	CondemnTimeout time.Duration
	// StopTimeout is the time a drained process has to end politely; default 2 s.
	StopTimeout time.Duration
	// MaxWaiting calls may wait for a process or for a free place in it; default
	// 1024.
	MaxWaiting int
	// MaxOld is the number of replaced processes that may drain at once; the
	// oldest ends at once when there are more. Default 3.
	MaxOld int
	// Crashes is the number of crash reports kept per adapter; default 50.
	Crashes int

	// jitter returns a random part of d. Tests fix it.
	jitter func(d time.Duration) time.Duration
}

func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.MinBackoff = cmp.Or(c.MinBackoff, 100*time.Millisecond)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, 30*time.Second)
	c.StableAfter = cmp.Or(c.StableAfter, time.Minute)
	c.MaxBadStarts = cmp.Or(c.MaxBadStarts, 5)
	c.MinProbation = cmp.Or(c.MinProbation, time.Minute)
	c.MaxProbation = cmp.Or(c.MaxProbation, 30*time.Minute)
	c.HealthEvery = cmp.Or(c.HealthEvery, 5*time.Second)
	c.HealthTimeout = cmp.Or(c.HealthTimeout, 2*time.Second)
	c.HealthMisses = cmp.Or(c.HealthMisses, 3)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.CondemnTimeout = cmp.Or(c.CondemnTimeout, 10*time.Second)
	c.StopTimeout = cmp.Or(c.StopTimeout, 2*time.Second)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 1024)
	c.MaxOld = cmp.Or(c.MaxOld, 3)
	c.Crashes = cmp.Or(c.Crashes, 50)
	if c.jitter == nil {
		c.jitter = func(d time.Duration) time.Duration { return rand.N(d + 1) }
	}
	return c
}

// validate returns every fault in c at once.
func (c Config) validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"MinBackoff": c.MinBackoff, "MaxBackoff": c.MaxBackoff, "StableAfter": c.StableAfter,
		"MinProbation": c.MinProbation, "MaxProbation": c.MaxProbation, "HealthEvery": c.HealthEvery,
		"HealthTimeout": c.HealthTimeout, "DrainTimeout": c.DrainTimeout,
		"CondemnTimeout": c.CondemnTimeout, "StopTimeout": c.StopTimeout,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s %s is negative", name, d))
		}
	}
	for name, n := range map[string]int{
		"MaxBadStarts": c.MaxBadStarts, "HealthMisses": c.HealthMisses,
		"MaxWaiting": c.MaxWaiting, "MaxOld": c.MaxOld, "Crashes": c.Crashes,
	} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("%s %d is below 1", name, n))
		}
	}
	if c.MinBackoff > c.MaxBackoff {
		errs = append(errs, fmt.Errorf("MinBackoff %s is above MaxBackoff %s", c.MinBackoff, c.MaxBackoff))
	}
	if c.MinProbation > c.MaxProbation {
		errs = append(errs, fmt.Errorf("MinProbation %s is above MaxProbation %s", c.MinProbation, c.MaxProbation))
	}
	return errors.Join(errs...)
}

// backoff returns the wait before a restart that follows n failures in a row
// before this one: none for the first, then a random part of a doubling bound.
func (c Config) backoff(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return c.jitter(doubled(c.MinBackoff, n, c.MaxBackoff))
}

// doubled returns d x 2^n, at most limit.
func doubled(d time.Duration, n int, limit time.Duration) time.Duration {
	for range n {
		if d >= limit/2 {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}
