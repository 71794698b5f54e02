package faulty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// bombSize is how much stderr-bomb writes, in bytes.
const bombSize = 16 * mebibyte

// hang never returns. It sleeps, for the runtime ends a program of which every
// goroutine waits for another.
func hang(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	forever()
	return nil, errors.ErrUnsupported // not reached
}

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

// spin burns a processor and never returns.
func spin(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	for {
	}
}

func exit(argument string) (player, error) {
	code, err := whole(argument, 0, 255)
	return func(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		os.Exit(code)
		return nil, errors.ErrUnsupported // not reached
	}, err
}

func kill(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	killSelf()
	return nil, errors.ErrUnsupported // not reached
}

func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // a signal to oneself is always allowed
	forever()                                      // it may take a moment to arrive
}

// crashAfterWrite panics in a goroutine of its own, where nothing can recover
// it.
func crashAfterWrite(_ context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	id, err := a.write(req)
	if err != nil {
		return nil, err
	}
	go panic("told to crash after writing record " + id)
	forever()
	return nil, errors.ErrUnsupported // not reached
}

// stdout writes one line past package os, whose Stdout go-plugin has replaced: to
// the pipe on which the host read the handshake.
func stdout(argument string) (player, error) {
	size, err := whole(argument, 1, maxStdout)
	return func(ctx context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		block := bytes.Repeat([]byte("n"), mebibyte)
		for range size {
			if err := writeAll(syscall.Stdout, block); err != nil {
				return nil, err
			}
		}
		if err := writeAll(syscall.Stdout, []byte("\n")); err != nil {
			return nil, err
		}
		return ok(ctx, a, req)
	}, err
}

// stderrBomb writes log lines of the kinds that hurt a careless reader.
func stderrBomb(ctx context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	lines := []byte(strings.Join([]string{
		`{"@message":1}`, `{"@level":{},"@message":null}`, `{"@message":"no end`, `[]`, `null`, ``, `7`,
		`{"@level":"error","@message":"forged","adapter":"other","tenant":"other","request_id":["x"]}`,
		`{"@level":"info","@message":"` + "\xff\xfe\x00\x1b[31m\u202e" + `"}`,
		`{"@level":"info","@message":"first","@message":"second","@timestamp":"yesterday"}`,
		`{"@level":"info","@message":"` + strings.Repeat("m", mebibyte) + `"}`,
		`{"a":` + strings.Repeat("[", 100_000), strings.Repeat("long", 512<<10), "panic: not really", "fatal error: neither",
	}, "\n") + "\n")
	for written := 0; written < bombSize; written += len(lines) {
		if err := writeAll(syscall.Stderr, lines); err != nil {
			return nil, err
		}
	}
	return ok(ctx, a, req)
}

// writeAll writes to a file descriptor, which may block for as long as nobody
// reads the other end.
func writeAll(descriptor int, text []byte) error {
	for len(text) > 0 {
		n, err := syscall.Write(descriptor, text)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.EAGAIN):
			continue
		case err != nil:
			return &fault.Error{Code: fault.AdapterFault, Class: fault.Permanent, Msg: "the output is closed", Err: err}
		}
		text = text[n:]
	}
	return nil
}

// forkAndDie leaves a child in the same process group that holds the pipes to the
// host, and dies. The child is this program, for there may be no other.
func forkAndDie(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	program, err := ownProgram()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	child := exec.Command(program) //nolint:gosec // itself
	child.Env = []string{envStart + "=" + linger}
	// Past package os, whose files go-plugin has replaced.
	child.Stdout = os.NewFile(uintptr(syscall.Stdout), "stdout")
	child.Stderr = os.NewFile(uintptr(syscall.Stderr), "stderr")
	if err := child.Start(); err != nil {
		return nil, &fault.Error{Code: fault.AdapterFault, Class: fault.Permanent, Msg: "no child could be started", Err: err}
	}
	killSelf() // nobody waits for the child
	return nil, errors.ErrUnsupported
}

// ownProgram returns the path of this program, which on Linux may be a file that
// has no name.
func ownProgram() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}
