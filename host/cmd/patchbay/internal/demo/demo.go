// Package demo shows the whole of Patchbay in half a minute: it starts the example
// CRM, a fake of Pipedrive and a host as processes of their own, logs messages with
// the same commands that a user types, breaks things on purpose, and at the end
// holds the ledger against the CRM, entry by entry. Every step is a check; the first
// that fails ends the demonstration with an error.
package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

//go:embed testdata/*.json
var messages embed.FS

// limit bounds the demonstration, without the time that it is kept running.
const limit = 2 * time.Minute

// Runner returns the function that runs the demonstration with that executable
// for the host and for every command.
func Runner(executable string) func(ctx context.Context, out io.Writer, keep bool) error {
	return func(ctx context.Context, out io.Writer, keep bool) error {
		return run(ctx, executable, out, keep)
	}
}

func run(ctx context.Context, executable string, out io.Writer, keep bool) (err error) {
	beside := filepath.Dir(executable)
	d := &demo{
		out: out, patchbay: executable,
		examplecrmServer: filepath.Join(beside, "examplecrm-server"), pipedriveServer: filepath.Join(beside, "pipedrive-fake"),
	}
	for _, crm := range []string{d.examplecrmServer, d.pipedriveServer} {
		if _, err := os.Stat(crm); err != nil {
			return fmt.Errorf("find the CRMs beside %s: %w; build all with: make build", executable, err)
		}
	}
	if d.dir, err = os.MkdirTemp("", "patchbay-demo-"); err != nil {
		return fmt.Errorf("make a directory for the demonstration: %w", err)
	}
	defer func() {
		err = errors.Join(err, d.end(), os.RemoveAll(d.dir))
		if err == nil {
			d.sayf("\nCleaned up.\n")
		}
	}()
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	if err := d.show(bounded); err != nil {
		d.tail()
		return err
	}
	d.sayf("\nEverything holds, in %.1f s.\n", time.Since(began).Seconds())
	d.where(keep)
	if keep {
		d.sayf("\nLeft running; press Ctrl-C to end it.\n")
		<-ctx.Done()
	}
	return nil
}

// show runs the steps.
func (d *demo) show(ctx context.Context) error {
	for n, step := range []struct {
		title string
		run   func(ctx context.Context) error
	}{
		{"Start two CRMs and a host", d.start},
		{"Create a tenant and enable the adapter for it", d.enable},
		{"Log one message: a text sent to Ada Lovelace", d.one},
		{"Log a conversation of three messages as one record", d.group},
		{"Send the first message again: same log ID, no second record", d.again},
		{"Log the first message into another CRM, through an adapter of its own", d.pipedrive},
		{"Disable the adapter: the next call is refused, nothing reaches the CRM", d.disable},
		{"Kill the adapter process: the next call is served by a new one", d.kill},
		{"Hold the ledger against the CRM, entry by entry", d.compare},
	} {
		d.sayf("\n\033[1m%d. %s\033[0m\n", n+1, step.title)
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", n+1, step.title, err)
		}
	}
	return nil
}

func (d *demo) sayf(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// okf says that a check holds.
func (d *demo) okf(format string, args ...any) {
	d.sayf("   \033[32m✓\033[0m "+format+"\n", args...)
}

// where says where everything can be seen.
func (d *demo) where(keep bool) {
	d.sayf("\nWhere it can be seen")
	if !keep {
		d.sayf(" while it runs (make demo KEEP=1 leaves it running)")
	}
	d.sayf(":\n")
	d.sayf("   the CRM's page     %s\n", d.crmURL)
	d.sayf("   the activity       %s\n", d.activityPage)
	d.sayf("   the ledger         patchbay message list --tenant %s --server %s --token @%s\n", tenantID, d.hostURL, d.tokenFile())
	d.sayf("                      %s/v1/tenants/%s/message-logs\n", d.hostURL, tenantID)
	d.sayf("   the API            %s/openapi.json\n", d.hostURL)
	d.sayf("   the admin token    %s\n", d.tokenFile())
	d.sayf("   the host's log     %s\n", d.logFile())
}

// tail shows the end of the host's log after a failure.
func (d *demo) tail() {
	const most = 4 << 10
	log, err := os.ReadFile(d.logFile())
	if err != nil || len(log) == 0 {
		return
	}
	d.sayf("\nThe end of the host's log:\n%s\n", log[max(0, len(log)-most):])
}
