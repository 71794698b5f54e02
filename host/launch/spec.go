package launch

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec says what to start.
type Spec struct {
	// Name, Version and Tenant say which adapter it is, and for which tenant;
	// Tenant is "" for a process that serves all. They stand in logs, and the
	// name in the process' environment.
	Name, Version, Tenant string
	// ExecutablePath is the file to run.
	ExecutablePath string
	// ExecutableDigest is the SHA-256 of that file in hex. What runs has it.
	ExecutableDigest string
	// Dir is the working directory; default the executable's.
	Dir string
	// Args are the arguments after the program's name.
	Args []string
	// Env are the variables of the adapter's own. Their values may be secrets.
	Env map[string]string
	// Egress lists the hosts that the adapter may talk to, AllowPrivate the
	// private addresses among them. The SDK holds itself to them.
	Egress, AllowPrivate []string
	// StartTimeout is the time until the process must answer; default 10 s.
	StartTimeout time.Duration
	// MemoryMiB is the memory that the process should get along with; 0 when not
	// limited. A process that was killed above it counts as out of memory.
	MemoryMiB int
}

// The variables that the host sets for every adapter.
const (
	envAdapter      = "PATCHBAY_ADAPTER"
	envEgress       = "PATCHBAY_EGRESS"
	envAllowPrivate = "PATCHBAY_ALLOW_PRIVATE"
	envLifeline     = "PATCHBAY_LIFELINE"
	envRunID        = "PATCHBAY_RUN_ID"
)

func (s Spec) withDefaults() Spec {
	if s.Dir == "" {
		s.Dir = filepath.Dir(s.ExecutablePath)
	}
	if s.StartTimeout <= 0 {
		s.StartTimeout = 10 * time.Second
	}
	return s
}

func (s Spec) validate() error {
	var errs []error
	if s.Name == "" {
		errs = append(errs, errors.New("Name is missing"))
	}
	if !filepath.IsAbs(s.ExecutablePath) {
		errs = append(errs, errors.New("ExecutablePath is not absolute"))
	}
	if !isDigest(s.ExecutableDigest) {
		errs = append(errs, errors.New("ExecutableDigest is not a SHA-256 in lower-case hex"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if reserved(name) {
			errs = append(errs, fmt.Errorf("Env names %q, which is the host's", name))
		}
		if strings.ContainsRune(s.Env[name], 0) {
			errs = append(errs, fmt.Errorf("Env's value of %s holds a zero byte", name))
		}
	}
	for _, arg := range s.Args {
		if strings.ContainsRune(arg, 0) {
			errs = append(errs, errors.New("Args hold a zero byte"))
		}
	}
	if s.MemoryMiB < 0 {
		errs = append(errs, errors.New("MemoryMiB is negative"))
	}
	return errors.Join(errs...)
}

// reserved reports whether a variable is not the adapter's to have.
func reserved(name string) bool {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return true
	}
	for _, prefix := range []string{"PATCHBAY_", "PLUGIN_", "LD_", "DYLD_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func isDigest(text string) bool {
	if len(text) != 64 {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// environment returns all that the process gets beside go-plugin's variables.
func (s Spec) environment(runID string) []string {
	env := make([]string, 0, len(s.Env)+7)
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = append(env, name+"="+s.Env[name])
	}
	for _, v := range s.gcVariables() {
		if _, own := s.Env[v.name]; !own {
			env = append(env, v.name+"="+v.value)
		}
	}
	return append(env,
		envAdapter+"="+s.Name,
		envEgress+"="+strings.Join(s.Egress, ","),
		envAllowPrivate+"="+strings.Join(s.AllowPrivate, ","),
		envLifeline+"=stdin",
		envRunID+"="+runID)
}

// variable is an environment variable.
type variable struct{ name, value string }

// gcVariables are the variables that make an adapter in Go collect garbage a quarter
// as often while its heap is small, and as often as it must near its memory limit.
// Adapters in other languages do not know them.
func (s Spec) gcVariables() []variable {
	if s.MemoryMiB <= 0 {
		return nil
	}
	return []variable{{"GOGC", "400"}, {"GOMEMLIMIT", strconv.Itoa(s.MemoryMiB*9/10) + "MiB"}}
}
