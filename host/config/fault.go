package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	// Source is where it stands: "patchbay.yaml:7", "PATCHBAY_MAX_BODY" or
	// "--max-body".
	Source string
	// Key is the full key, as adapters.examplecrm.limits.callTimeout; empty when
	// the fault is of a whole file.
	Key string
	// Detail says what is wrong and how to mend it. It repeats no value of an
	// adapter's environment.
	Detail string
}

// Error returns "source: key: detail".
func (f Fault) Error() string {
	if f.Key == "" {
		return f.Source + ": " + f.Detail
	}
	return f.Source + ": " + f.Key + ": " + f.Detail
}

// Faults are all faults of a configuration.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) add(source, key, format string, args ...any) {
	*f = append(*f, Fault{source, key, fmt.Sprintf(format, args...)})
}

func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
