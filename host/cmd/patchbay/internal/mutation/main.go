// Command mutation takes single rules out of a copy of the code, one at a time, and
// reports whether the test that guards each rule fails without it. "make mutations"
// runs it.
//
// The mutations are data, in files of the folder list:
//
//	# rule 3: a stale failure changes nothing
//	file host/ledger/apply.go
//	test ./host/ledger TestEveryEventInEveryState
//	-	if !e.own(ev.Epoch) {
//	+	if false {
//
// The heading says the rule; the rules of docs/DELIVERY.md go by their number there.
// The lines after "-" must stand in the file exactly once, as whole lines, one
// below the other; the lines after "+" take their place, none leave a gap. A line
// that begins with "//" is a comment.
//
// The command copies the repository to a temporary directory, once for each worker:
// what git tracks, and new files that it does not ignore. There the named tests must
// pass. Then each mutation is made, its test is run, and the file is put back. The
// test must fail: a mutation that survives, does not compile or lets the test hang
// is an error, and the command ends with 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	only    *regexp.Regexp
	workers int
	timeout time.Duration
	list    bool
}

func parseFlags(args []string, out io.Writer) (options, error) {
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	flags.SetOutput(out)
	only := flags.String("only", "", "make only the mutations whose heading matches this regular expression")
	o := options{}
	flags.IntVar(&o.workers, "p", 2, "tests that run at once, each in a copy of its own")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long one test may take")
	flags.BoolVar(&o.list, "list", false, "print the rules and their tests, and run nothing")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		return o, errors.New("it takes flags only; see -help")
	case o.workers < 1 || o.timeout <= 0:
		return o, errors.New("-p and -timeout must be positive")
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("read -only: %w", err)
	}
	return o, nil
}

// run is the whole command but for the process around it.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parseFlags(args, progress)
	if err != nil {
		return err
	}
	all, err := mutations()
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(all, func(m mutation) bool { return !o.only.MatchString(m.rule) })
	if len(chosen) == 0 {
		return errors.New("no heading matches")
	}
	if o.list {
		return printList(out, chosen)
	}
	if err := boundMemory(); err != nil {
		return err
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	c := campaign{root: root, mutations: chosen, workers: o.workers, timeout: o.timeout, progress: progress}
	results, err := c.run(ctx)
	if err != nil {
		return err
	}
	return report(out, results)
}

// memoryLimit bounds each process that is started, in bytes of address space: a
// loop that a mutation makes endless may take memory without end.
const memoryLimit = 8 << 30

// boundMemory bounds the memory of what this process starts from now on.
func boundMemory() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return fmt.Errorf("read the memory limit: %w", err)
	}
	limit.Cur = min(limit.Max, memoryLimit)
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return fmt.Errorf("bound the memory of tests: %w", err)
	}
	return nil
}
