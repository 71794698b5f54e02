package faulty

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const mebibyte = 1 << 20

// The bounds of scripts' arguments, and of what they make.
const (
	maxSlow    = time.Hour
	maxLeak    = 64 << 10 // MiB
	maxStdout  = 1 << 10  // MiB
	hugeID     = 64 << 10 // bytes
	retryAfter = time.Second
)

// player plays one script for one call.
type player func(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)

// script is one thing the adapter can be told.
type script struct {
	form string // as an operator writes it
	make func(argument string) (player, error)
}

// scripts are all of them, by the name before the first colon.
var scripts = map[string]script{
	"ok":          {"ok", plain(ok)},
	"slow":        {"slow:<duration>", slow},
	"hang":        {"hang", plain(hang)},
	"panic":       {"panic", plain(panics)},
	"exit":        {"exit:<code>", exit},
	"kill":        {"kill", plain(kill)},
	"error":       {"error:<code>[:<class>]", fails},
	"leak":        {"leak:<MiB>", leak},
	"spin":        {"spin", plain(spin)},
	"stdout":      {"stdout:<MiB>", stdout},
	"stderr-bomb": {"stderr-bomb", plain(stderrBomb)},

	"fork-and-die":      {"fork-and-die", plain(forkAndDie)},
	"crash-after-write": {"crash-after-write", plain(crashAfterWrite)},

	"empty-id": {"empty-id", answers("")},
	"huge-id":  {"huge-id", answers(strings.Repeat("9", hugeID))},
}

// parse reads a script. What it cannot read is refused with what it can.
func parse(text string) (player, error) {
	name, argument, hasArgument := strings.Cut(text, ":")
	s, known := scripts[name]
	if !known || strings.Contains(s.form, ":") != hasArgument {
		return nil, unknownScript()
	}
	play, err := s.make(argument)
	if err != nil {
		return nil, fault.Rejectedf("the script %s %w", s.form, err)
	}
	return play, nil
}

func unknownScript() error {
	forms := make([]string, 0, len(scripts))
	for _, s := range scripts {
		forms = append(forms, s.form)
	}
	slices.Sort(forms)
	return fault.Rejected("there is no such script; there are " + strings.Join(forms, ", "))
}

// plain makes a script that takes no argument.
func plain(p player) func(string) (player, error) {
	return func(string) (player, error) { return p, nil }
}

// whole reads a whole number within bounds.
func whole(argument string, least, most int) (int, error) {
	n, err := strconv.Atoi(argument)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("takes a whole number from %d to %d", least, most)
	}
	return n, nil
}

func ok(_ context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	id, err := a.write(req)
	if err != nil {
		return nil, err
	}
	return sdk.Logged(id), nil
}

// slow makes its record first, so that a late answer is a true one.
func slow(argument string) (player, error) {
	d, err := time.ParseDuration(argument)
	if err != nil || d < 0 || d > maxSlow {
		return nil, fmt.Errorf("takes a duration of at most %s, as 1.5s", maxSlow)
	}
	return func(ctx context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		id, err := a.write(req)
		if err != nil {
			return nil, err
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return sdk.Logged(id), nil
		case <-ctx.Done():
			return nil, fault.OutcomeUnknown(ctx.Err())
		}
	}, nil
}

func panics(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	panic("told to panic")
}

func fails(argument string) (player, error) {
	name, className, hasClass := strings.Cut(argument, ":")
	code := fault.Code(name)
	if !code.FromAdapter() {
		return nil, fmt.Errorf("takes one of the codes %s", join(fault.AdapterCodes()))
	}
	class := code.Class()
	if hasClass {
		if class = fault.ParseClass(className); class.String() != className {
			return nil, fmt.Errorf("takes one of the classes %s", join([]fault.Class{fault.Unknown, fault.Retryable, fault.Permanent}))
		}
	}
	f := fault.Error{Code: code, Class: class, Msg: "told to fail"}
	if class == fault.Retryable {
		f.RetryAfter = retryAfter
	}
	return func(context.Context, *Adapter, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		raised := f // each call has an error of its own
		return nil, &raised
	}, nil
}

func join[T any](items []T) string {
	return strings.Trim(fmt.Sprint(items), "[]")
}

// leak touches what it allocates, or the memory would not count.
func leak(argument string) (player, error) {
	size, err := whole(argument, 1, maxLeak)
	return func(ctx context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		const page = 4096
		for range size {
			block := make([]byte, mebibyte)
			for i := 0; i < len(block); i += page {
				block[i] = 1
			}
			a.keep(block)
		}
		return ok(ctx, a, req)
	}, err
}

func answers(id string) func(string) (player, error) {
	return plain(func(_ context.Context, a *Adapter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		if _, err := a.write(req); err != nil {
			return nil, err
		}
		return sdk.Logged(id), nil
	})
}
