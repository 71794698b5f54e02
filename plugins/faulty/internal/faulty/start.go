package faulty

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// envStart says how to misbehave at the start.
const envStart = "FAULTY_START"

// linger makes the process the child that fork-and-die leaves: for a minute it
// does nothing but hold what it was given.
const linger = "linger:1m"

// starts are the ways to misbehave at the start, by the name before the colon.
var starts = map[string]struct {
	form string
	make func(argument string) (func(), error)
}{
	"ok":       {"ok", always(func() {})},
	"sick":     {"sick", always(func() {})}, // CheckHealth says so
	"panic":    {"panic", always(func() { panic("told to panic at the start") })},
	"kill":     {"kill", always(killSelf)},
	"hang":     {"hang", always(forever)},
	"exit":     {"exit:<code>", exitAtStart},
	"slow":     {"slow:<duration>", after(func() {})},
	"linger":   {"linger:<duration>", after(func() { os.Exit(0) })},
	"noise":    {"noise", always(func() { fmt.Println("loading contacts ...") })},
	"garbage":  {"garbage", always(func() { sayAndWait("this is no handshake") })},
	"protocol": {"protocol", always(func() { sayAndWait("1|99|unix|/nonexistent/socket|grpc|") })},
}

func always(play func()) func(string) (func(), error) {
	return func(string) (func(), error) { return play, nil }
}

func exitAtStart(argument string) (func(), error) {
	code, err := whole(argument, 0, 255)
	return func() {
		fmt.Fprintln(os.Stderr, "reading configuration\ncannot start: told not to")
		os.Exit(code)
	}, err
}

// after makes a script that waits first.
func after(play func()) func(string) (func(), error) {
	return func(argument string) (func(), error) {
		d, err := time.ParseDuration(argument)
		if err != nil || d < 0 || d > maxSlow {
			return nil, fmt.Errorf("takes a duration of at most %s", maxSlow)
		}
		return func() {
			time.Sleep(d)
			play()
		}, nil
	}
}

// sayAndWait prints a line where the handshake belongs, and waits to be ended.
func sayAndWait(line string) {
	fmt.Println(line)
	forever()
}

// parseStart reads FAULTY_START. Nothing is ok.
func parseStart(text string) (func(), error) {
	name, argument, hasArgument := strings.Cut(cmp.Or(text, "ok"), ":")
	s, known := starts[name]
	if !known || strings.Contains(s.form, ":") != hasArgument {
		forms := make([]string, 0, len(starts))
		for _, s := range starts {
			forms = append(forms, s.form)
		}
		slices.Sort(forms)
		return nil, errors.New(envStart + " must be one of " + strings.Join(forms, ", "))
	}
	play, err := s.make(argument)
	if err != nil {
		return nil, fmt.Errorf("%s=%s %w", envStart, s.form, err)
	}
	return play, nil
}

// Start misbehaves before the adapter serves, as FAULTY_START says:
//
//	ok, or nothing    serves
//	exit:<code>       explains itself on standard error and ends
//	panic             panics
//	kill              ends by SIGKILL
//	hang              never writes the handshake
//	slow:<duration>   serves after a while
//	linger:<duration> ends after a while, without serving
//	noise             prints a line before the handshake, then serves
//	garbage           prints a line that is no handshake, then waits
//	protocol          offers a version of the contract that no host speaks, then waits
//	sick              serves, and answers that it does not when asked for its health
//
// Anything else serves, and is reported by CheckHealth.
func Start() {
	if play, err := parseStart(os.Getenv(envStart)); err == nil {
		play()
	}
}

// sickness returns why CheckHealth answers that the adapter does not serve, ""
// when it does.
func sickness(start string) string {
	if start == "sick" {
		return "told to be sick"
	}
	if _, err := parseStart(start); err != nil {
		return err.Error()
	}
	return ""
}
