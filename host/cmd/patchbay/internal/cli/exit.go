package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// The exit codes. "patchbay help exit-codes" documents them.
const (
	ExitOK      = 0 // done
	ExitFailed  = 1 // failed on this side
	ExitUsage   = 2 // the command line is wrong
	ExitRefused = 3 // the host refuses; the same request will fail again
	ExitLater   = 4 // surely not done; try again later
	ExitUnknown = 5 // it may have been done; look before trying again
)

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `Every command ends with one of these codes:

  0  done
  1  failed on this side: a file cannot be read, an answer not understood, doctor
     found something that must be mended
  2  the command line or the configuration is wrong, the file of the configuration
     cannot be read, or a secret is not one line of text; nothing was sent
  3  the host refuses; the same request will fail again until something changes
     (also: it does not know the token, or was sent none)
  4  surely not done; the same request may succeed later (also: the host cannot
     be reached)
  5  it may have been done: look with "patchbay message list --state unknown"
     before trying again

A command that does many things ends with the highest code among them.`,
	}
}

// usageError is a fault of the command line itself.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// quietError ends the command with a code after everything was said already.
type quietError struct{ code int }

func (e *quietError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCode returns the code that a command ends with after err.
func exitCode(err error) int {
	var (
		usage   *usageError
		quiet   *quietError
		problem *problem
		sending *sendError
	)
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &problem):
		switch fault.ParseClass(problem.Class) {
		case fault.Permanent:
			return ExitRefused
		case fault.Retryable:
			return ExitLater
		default:
			return ExitUnknown
		}
	case errors.As(err, &sending):
		if sending.mayHaveHappened {
			return ExitUnknown
		}
		return ExitLater
	default:
		return ExitFailed
	}
}

// report tells a person what went wrong.
func report(w io.Writer, err error) {
	var p *problem
	if errors.As(err, &p) {
		p.print(w)
		return
	}
	fmt.Fprintf(w, "Error: %s\n", strings.ReplaceAll(printable(err.Error(), true), "\n", "\n  "))
}
