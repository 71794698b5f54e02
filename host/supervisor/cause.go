package supervisor

// Cause names the reason why a process does not serve or has ended. Causes are
// stable snake_case: operators search for them.
type Cause string

// The causes of a process that does not serve.
const (
	NotInstalled        Cause = "not_installed"
	NotExecutable       Cause = "not_executable"
	WrongArchitecture   Cause = "wrong_architecture"
	MissingLibrary      Cause = "missing_library"
	DigestMismatch      Cause = "digest_mismatch"
	ProtocolMismatch    Cause = "protocol_mismatch"
	StdoutNoise         Cause = "stdout_noise"
	ExitBeforeHandshake Cause = "exit_before_handshake"
	StartTimeout        Cause = "start_timeout"
	SocketPathTooLong   Cause = "socket_path_too_long"
	Panic               Cause = "panic"
	OutOfMemory         Cause = "out_of_memory"
	CrashLoop           Cause = "crash_loop"
	Hang                Cause = "hang"
	NotServing          Cause = "not_serving"
	// LaunchFailed is a start that failed on the host's side, as for want of
	// processes or files.
	LaunchFailed Cause = "launch_failed"
)

// The further causes of a crash.
const (
	Exited   Cause = "exit"
	Signaled Cause = "signal"
)

type causeInfo struct {
	cause     Cause
	permanent bool // another start cannot mend it
	remedy    string
}

// causes is the one table of causes, their remedies and whether retrying helps.
var causes = []causeInfo{
	{NotInstalled, true, "Install this version of the adapter, or enable a version that is installed."},
	{NotExecutable, true, "The package's file for this platform is no program. Set its executable bit, or build and install the package again."},
	{WrongArchitecture, true, "The program was built for another operating system or processor. Install a package that lists this platform in run.files."},
	{MissingLibrary, true, "The program needs an interpreter or shared library that this machine lacks. Install it, or link the adapter statically."},
	{DigestMismatch, true, "The file is not the one that was installed. Find out who changed it, then install what lies there now: patchbay adapter install NAME."},
	{ProtocolMismatch, true, "The adapter speaks another protocol version than this host. Install a version of either that fits the other."},
	{StdoutNoise, true, "The adapter printed something before the handshake. It must print nothing on standard output; let it log to standard error."},
	{ExitBeforeHandshake, false, "The adapter ended while it started. Its last lines on standard error say why; check its configured environment."},
	{StartTimeout, false, "The adapter did not start in time. Raise run.limits.startTimeout, or see on standard error what it waits for."},
	{SocketPathTooLong, true, "The directory for sockets has too long a path. Point XDG_RUNTIME_DIR or TMPDIR at a shorter one."},
	{Panic, false, "The adapter has a bug. Report it to the adapter's author with the lines of the crash report."},
	{OutOfMemory, false, "The adapter needed more memory than it may use. Raise run.limits.memoryMiB, or report a leak to its author."},
	{CrashLoop, false, "The adapter ended too often without an answer. See the crash reports, mend the cause, then lift the quarantine."},
	{Hang, false, "The adapter stopped answering and was ended. Report it to the adapter's author with the crash report."},
	{NotServing, false, "The adapter says that it cannot serve. Its health message says what it lacks."},
	{LaunchFailed, false, "The host could not start the process. See the error, and check the limits on processes, files and memory of this machine."},
	{Exited, false, "The adapter ended by itself. Its last lines on standard error say why."},
	{Signaled, false, "Something killed the adapter. Look for the kernel's out-of-memory killer, or for a person or script that sent the signal."},
}

var byCause = func() map[Cause]causeInfo {
	m := make(map[Cause]causeInfo, len(causes))
	for _, c := range causes {
		m[c.cause] = c
	}
	return m
}()

// Causes returns every cause, in a fixed order.
func Causes() []Cause {
	out := make([]Cause, len(causes))
	for i, c := range causes {
		out[i] = c.cause
	}
	return out
}

// Remedy returns a sentence or two that say what an operator can do; "" for no
// cause.
func (c Cause) Remedy() string { return byCause[c].remedy }

// Permanent reports whether another start cannot mend the cause, so that the
// process goes to quarantine at once.
func (c Cause) Permanent() bool { return byCause[c].permanent }
