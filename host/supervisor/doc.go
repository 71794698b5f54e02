// Package supervisor keeps adapter processes running: it starts them, watches
// them, starts them again after a crash, gives up on those that never work, and
// drains and ends them in the end. It knows nothing of how a process is made: a
// Spec brings a function that launches Instances.
//
// One Supervisor looks after one process, one Fleet after all Supervisors. A
// Supervisor is an actor: one goroutine, Run, decides, and everything that takes
// time (a start, a stop, a health check, a drain) happens in goroutines of their
// own that report back to it. No lock is held across any of them, so a start that
// hangs delays nobody else.
//
//	          Run                launched
//	stopped ───────► starting ─────────────► ready ◄─────────┐ replaced by a new
//	   ▲              ▲ ▲  │                  │  │ └─────────┘ process (Restart)
//	   │    wait over │ │  │ failed again     │  │
//	   │              │ │  ▼                  │  │ exited, hung or condemned:
//	   │              │ backoff ◄─────────────┤  │ the first restart goes to
//	   │              │    │                  │  │ starting at once
//	   │   probation, │    │ 5 starts in a row│  │
//	   │ Unquarantine │    ▼ without an answer│  │
//	   │             quarantined ◄────────────┘  │
//	   │              (or a permanent cause)     │ Run's context is done,
//	   │                                         ▼ from any state
//	   └────────────────────────────────────── draining
//
// Invariants:
//   - ready means that there is a current process, every other state that there
//     is none. Processes that were replaced or condemned live on beside it until
//     their calls have ended or a bound has passed.
//   - The state changes in one function, set, which logs the change.
//   - At most one start is under way per Supervisor.
//   - A process that has died takes no calls from that moment on, and its
//     successor is on its way, though its report waits until what it wrote was
//     read and its descendants are gone.
//   - When Run returns, every process and goroutine that it made is gone.
//
// A start counts as bad when its process dies before it has answered one call or
// one periodic health check. Config.MaxBadStarts of them in a row, or one failure
// with a permanent cause (see Cause), lead into quarantine, which ends by itself
// in a probation start after 1, 2, 4 ... 30 minutes, or by Unquarantine. One
// answered call resets every count.
package supervisor
