package sdktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const mebibyte = 1 << 20

// call is one call of AddMessageLog to a scripted adapter.
type call struct {
	adapter  *scripted
	req      *sdk.AddMessageLogRequest
	argument string // what stands after the script's first colon
}

func (c call) ok() (*sdk.AddMessageLogResponse, error) { return c.adapter.log(c.req), nil }

type act func(context.Context, call) (*sdk.AddMessageLogResponse, error)

var acts = map[string]act{
	"": actOK, "ok": actOK, "echo": actOK, "not-serving": actOK, "sick-panic": actOK, "sick-hang": actOK,
	"slow": actSlow,
	"wait": func(ctx context.Context, _ call) (*sdk.AddMessageLogResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	},
	"hang": func(context.Context, call) (*sdk.AddMessageLogResponse, error) {
		forever()
		return nil, nil
	},
	"panic": func(context.Context, call) (*sdk.AddMessageLogResponse, error) { panic("told to panic") },
	"crash": func(context.Context, call) (*sdk.AddMessageLogResponse, error) {
		go panic("told to crash")
		forever()
		return nil, nil
	},
	"exit": func(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
		os.Exit(number(c.argument))
		return nil, nil
	},
	"kill": func(context.Context, call) (*sdk.AddMessageLogResponse, error) {
		killSelf()
		return nil, nil
	},
	"fork-and-die": actForkAndDie,
	"error":        actError,
	"plain-error": func(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
		return nil, fmt.Errorf("send to the CRM with %s: %w", c.req.AuthHeader.Reveal(), errors.ErrUnsupported)
	},
	"empty-id":   answering(""),
	"huge-id":    answering(strings.Repeat("9", mebibyte/2)),
	"control-id": answering("log\x00id"),
	"nil-response": func(context.Context, call) (*sdk.AddMessageLogResponse, error) {
		return nil, nil
	},
	"stdout-noise": func(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
		for range mebibyte / 64 {
			fmt.Println(strings.Repeat("n", 63))
		}
		return c.ok()
	},
	"raw-stdout": func(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
		return afterWriting(c, syscall.Stdout, strings.Repeat("n", number(c.argument)*mebibyte))
	},
	"stderr-bomb": func(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
		return afterWriting(c, syscall.Stderr, bomb())
	},
	"leak": actLeak,
	"spin": func(ctx context.Context, c call) (*sdk.AddMessageLogResponse, error) {
		for ctx.Err() == nil {
		}
		return c.ok()
	},
}

func actOK(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) { return c.ok() }

func actSlow(ctx context.Context, c call) (*sdk.AddMessageLogResponse, error) {
	d, err := time.ParseDuration(c.argument)
	if err != nil {
		return unknownScript("slow")
	}
	select {
	case <-time.After(d):
		return c.ok()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func actError(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
	code, class, hasClass := strings.Cut(c.argument, ":")
	f := fault.New(fault.Code(code), "told to fail with "+code)
	if hasClass {
		f.Class = fault.ParseClass(class)
	}
	if f.Class == fault.Retryable {
		f.RetryAfter = time.Second
	}
	return nil, f
}

// actForkAndDie leaves a child that holds the pipes to the host, in the same
// process group.
func actForkAndDie(context.Context, call) (*sdk.AddMessageLogResponse, error) {
	child := exec.Command("sleep", "30")
	child.Stdout = os.NewFile(uintptr(syscall.Stdout), "stdout") // os.Stdout is a pipe of go-plugin's by now
	child.Stderr = os.NewFile(uintptr(syscall.Stderr), "stderr")
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start a child: %w", err)
	}
	killSelf()
	return nil, nil
}

func actLeak(_ context.Context, c call) (*sdk.AddMessageLogResponse, error) {
	for range number(c.argument) {
		block := make([]byte, mebibyte)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1 // touched, or it would not count
		}
		c.adapter.mu.Lock()
		c.adapter.kept = append(c.adapter.kept, block)
		c.adapter.mu.Unlock()
	}
	return c.ok()
}

func answering(id string) act {
	return func(context.Context, call) (*sdk.AddMessageLogResponse, error) { return sdk.Logged(id), nil }
}

func unknownScript(name string) (*sdk.AddMessageLogResponse, error) {
	return nil, fault.Unsupported("there is no script " + strconv.Quote(name))
}

// number reads a script's argument; 0 when it is none.
func number(argument string) int {
	n, err := strconv.Atoi(argument)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // a signal to oneself is always allowed
	forever()                                      // it may take a moment to arrive
}

// forever never returns. A sleep, since the runtime ends a program of which
// every goroutine waits for another.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

// afterWriting writes past package os, whose files go-plugin has replaced.
func afterWriting(c call, descriptor int, text string) (*sdk.AddMessageLogResponse, error) {
	for rest := []byte(text); len(rest) > 0; {
		n, err := syscall.Write(descriptor, rest)
		if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("write noise: %w", err)
		}
		rest = rest[n:]
	}
	return c.ok()
}

// bomb is about 1 MiB of log lines of the kinds that hurt a careless reader.
func bomb() string {
	lines := []string{
		`{"@message":1}`, `{"@level":{},"@message":null}`, `[]`, `null`, `{"@message":"` + "\xff\x00\x1b[31m" + `"}`,
		`{"@level":"error","@message":"forged","adapter":"other","request_id":["x"]}`,
		`{"@timestamp":"yesterday","@message":"` + strings.Repeat("m", 70<<10) + `"}`,
		strings.Repeat("{", 10_000), strings.Repeat("long", 64<<10), "", "panic: not really",
	}
	return strings.Repeat(strings.Join(lines, "\n")+"\n", 3)
}
