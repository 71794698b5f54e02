package supervisor

import (
	"context"
	"time"
)

// Instance is one running process. Its methods may be called concurrently.
type Instance interface {
	// Dead is closed as soon as the process itself has ended, whatever it left
	// behind: from then on it is of no use to anyone.
	Dead() <-chan struct{}
	// Done is closed once the process and its descendants are gone and reaped, and
	// what they wrote was read.
	Done() <-chan struct{}
	// Status says with which code or signal the process ended, and no more. It may
	// be called once Dead is closed.
	Status() Exit
	// Exit says how the process ended. It may be called once Done is closed.
	Exit() Exit
	// Stop asks the process to end, ends it by force when ctx is done, and
	// returns after Done is closed. The caller has drained it before.
	Stop(ctx context.Context)
	// Health asks the process whether it can serve. An error means that it gave
	// no answer.
	Health(ctx context.Context) (Health, error)
	// Pid is the number of the process.
	Pid() int
}

// Health is what a process says of itself.
type Health struct {
	// Serving is whether calls may be sent.
	Serving bool
	// Message says why not.
	Message string
}

// Exit says how a process ended.
type Exit struct {
	// Cause is Exited, Signaled, Panic, OutOfMemory or a cause of a failed start.
	Cause Cause
	// Code is the exit code; -1 when a signal ended the process.
	Code int
	// Signal is the signal's name, as "SIGKILL"; "" when none ended the process.
	Signal string
	// Stderr holds the last lines of standard error, oldest first.
	Stderr []string
	// PeakRSS is the most memory it had resident, in bytes; 0 when not known.
	PeakRSS int64
}

// StartError is a start that failed. The function of a Spec returns it so that
// the cause is known; of any other error the cause is LaunchFailed.
type StartError struct {
	// Cause says what went wrong. It decides whether another start is tried.
	Cause Cause
	// Detail is for operators: what was found, the last line of standard error.
	Detail string
	// Pid is the process that was started; 0 when none was.
	Pid int
	// Exit says how that process ended; zero when none was started.
	Exit Exit
	// Err is the underlying error, if any.
	Err error
}

// Error returns "start failed (cause): detail: error".
func (e *StartError) Error() string {
	text := "start adapter process (" + string(e.Cause) + ")"
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the underlying error.
func (e *StartError) Unwrap() error { return e.Err }

// Spec says how one process is run.
type Spec[I Instance] struct {
	// Launch starts a process and returns it ready for calls. It must return
	// soon after ctx is done, and leave no process behind when it fails.
	Launch func(ctx context.Context) (I, error)
	// StartTimeout is when Launch's ctx ends; default 10 s.
	StartTimeout time.Duration
	// Concurrency is the number of calls at once; default 32.
	Concurrency int
}

func (s Spec[I]) withDefaults() Spec[I] {
	if s.StartTimeout <= 0 {
		s.StartTimeout = 10 * time.Second
	}
	if s.Concurrency <= 0 {
		s.Concurrency = 32
	}
	return s
}
