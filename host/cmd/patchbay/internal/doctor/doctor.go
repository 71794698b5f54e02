// Package doctor examines a configuration and the machine, and says of each fault
// how to mend it. It changes nothing, and runs beside a running host.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/patchbay-crm/patchbay/host/config"
)

// Status says how serious a finding is.
type Status string

// The statuses.
const (
	OK   Status = "ok"   // as it should be
	Info Status = "info" // worth knowing
	Warn Status = "warn" // a host runs, but something is not as it should be
	Fail Status = "fail" // a host does not start, or does not do its work
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	// Remedy says how to mend it; empty when nothing needs mending.
	Remedy string `json:"remedy,omitempty"`
}

// findings collects what the checks found.
type findings []Finding

func (f *findings) add(check string, status Status, remedy, format string, args ...any) {
	*f = append(*f, Finding{Check: check, Status: status, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

// Run examines the configuration that src describes and writes the findings to
// out. It reports whether nothing stands in a host's way: no finding is Fail.
func Run(ctx context.Context, src config.Sources, out io.Writer, asJSON bool) (healthy bool, err error) {
	found := Examine(ctx, src)
	healthy = true
	for _, f := range found {
		healthy = healthy && f.Status != Fail
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(map[string]any{"healthy": healthy, "findings": found})
	} else {
		err = write(out, found)
	}
	if err != nil {
		return false, fmt.Errorf("print the findings: %w", err)
	}
	return healthy, nil
}

// Examine returns the findings, in the order in which a start would meet them.
func Examine(ctx context.Context, src config.Sources) []Finding {
	var f findings
	c, ok := f.configuration(src)
	if !ok {
		return f
	}
	running := f.dataDir(c)
	keyed := f.key(c)
	var seen pins
	if !running {
		seen = f.database(ctx, c, keyed)
	}
	f.adminToken(c)
	f.address(ctx, c, running)
	f.packages(ctx, c, seen)
	f.sockets()
	f.kernel()
	return f
}

func (f *findings) configuration(src config.Sources) (*config.Config, bool) {
	c, warnings, err := config.Load(src)
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		for _, fault := range faults {
			remedy := "correct this setting; patchbay serve --help lists them all"
			if fault.Key == "" {
				remedy = "correct the file"
			}
			f.add("configuration", Fail, remedy, "%s", fault)
		}
		return nil, false
	case err != nil:
		f.add("configuration", Fail, "name a file that can be read with --config", "%s", err)
		return nil, false
	case src.File == "":
		f.add("configuration", OK, "", "no file; defaults, variables and flags")
	default:
		f.add("configuration", OK, "", "%s", src.File)
	}
	for _, w := range warnings {
		f.add("configuration", Warn, "rename the variable, or unset it", "%s", w)
	}
	return c, true
}

// write prints the findings for people, and what they come to.
func write(out io.Writer, found []Finding) error {
	if err := Print(out, found); err != nil {
		return err
	}
	count := map[Status]int{}
	for _, f := range found {
		count[f.Status]++
	}
	verdict := "a host can run"
	switch {
	case count[Fail] > 0:
		verdict = fmt.Sprintf("%d must be mended, %d should be looked at", count[Fail], count[Warn])
	case count[Warn] > 0:
		verdict = fmt.Sprintf("a host can run; %d should be looked at", count[Warn])
	}
	_, err := fmt.Fprintf(out, "\n%s\n", verdict)
	return err
}
