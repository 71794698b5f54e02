// Package trial starts a packed adapter once, as a host would, and says what a host
// would see: whether the package is sound, how the process starts, what it says of
// itself, and how it ends. It logs no message and needs no running host.
package trial

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/doctor"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/launch"
	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk"
)

// Trial says what is tried. Zero fields take the defaults named here.
type Trial struct {
	// Dir is the folder of the package, <name>/<version>. Required.
	Dir string
	// Config is what the operator says about adapters; nil says nothing.
	Config *config.Config
	// Log takes what the adapter logs, as a host's log would have it; default
	// none.
	Log *slog.Logger
	// HealthWithin is how long the adapter may take to say how it is; default
	// 10 s.
	HealthWithin time.Duration
	// StopWithin is how long it may take to end when it is asked to; default 2 s.
	StopWithin time.Duration
}

// Result is what a host would see.
type Result struct {
	// Serves is whether a host would send calls to the adapter.
	Serves bool `json:"serves"`
	// Findings stand in the order in which a start meets them.
	Findings []doctor.Finding `json:"findings"`
}

func (t Trial) withDefaults() Trial {
	t.HealthWithin = cmp.Or(t.HealthWithin, 10*time.Second)
	t.StopWithin = cmp.Or(t.StopWithin, 2*time.Second)
	if t.Log == nil {
		t.Log = slog.New(slog.DiscardHandler)
	}
	if t.Config == nil {
		t.Config = &config.Config{}
	}
	return t
}

// Run tries the package in dir with the configuration that src describes, and
// writes the result to out and what the adapter logs to errs. It reports whether
// the adapter serves. Faults of the configuration are returned as config.Load
// does.
func Run(ctx context.Context, src config.Sources, dir string, out, errs io.Writer, asJSON bool) (serves bool, err error) {
	c, warnings, err := config.Load(src)
	if err != nil {
		return false, err
	}
	for _, w := range warnings {
		fmt.Fprintf(errs, "Warning: %s\n", w)
	}
	result, err := Trial{Dir: dir, Config: c, Log: app.NewLogger(errs, c)}.Run(ctx)
	if err != nil {
		return false, err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(result)
	} else {
		err = result.write(out)
	}
	if err != nil {
		return false, fmt.Errorf("print the findings: %w", err)
	}
	return result.Serves, nil
}

// Run starts the adapter, asks it how it is, and ends it. When it returns, the
// process is gone. An error means that nothing was found out, as when ctx ended.
func (t Trial) Run(ctx context.Context) (r Result, err error) {
	t = t.withDefaults()
	if info, err := os.Stat(t.Dir); err == nil && !info.IsDir() {
		r.add("package", doctor.Fail, "give the package's folder, such as dist/adapters/acme/0.1.0; patchbay adapter pack makes it",
			"%s: %s is a file", catalog.CauseNotInstalled, t.Dir)
		return r, nil
	}
	pkg, err := catalog.ReadPackage(ctx, t.Dir, catalog.Config{Overrides: t.Config.Overrides()})
	var bad *catalog.Problem
	if errors.As(err, &bad) {
		r.add("package", doctor.Fail, bad.Remedy, "%s: %s", bad.Cause, bad.OneLine())
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the package: %w", err)
	}
	r.add("package", doctor.OK, "", "%s %s, digest %s", pkg.Name, pkg.Version, pkg.Digest)
	own := t.Config.Adapters[pkg.Name]
	for _, name := range own.Env.Names() {
		if !slices.Contains(pkg.Manifest.Run.Env, name) {
			r.add("configuration", doctor.Warn, "add it to run.env of the manifest, or remove it from the configuration", "the adapter does not get %s", name)
		}
	}
	if private, ok := doctor.PrivateBaseURL(ctx, pkg.Manifest, own); ok {
		r.Findings = append(r.Findings, private)
	}
	err = t.start(ctx, launchable{pkg, app.LaunchSpec(pkg, own)}, &r)
	return r, err
}

// launchable is a package with the way to start it.
type launchable struct {
	pkg  *catalog.Package
	spec launch.Spec
}

// start runs a launcher for the one process.
func (t Trial) start(ctx context.Context, l launchable, r *Result) (err error) {
	dir, err := os.MkdirTemp("", "patchbay-trial-")
	if err != nil {
		return fmt.Errorf("make a directory for the process: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	launcher, err := launch.New(launch.Config{RunDir: filepath.Join(dir, "run"), Log: t.Log})
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- launcher.Run(running) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	began := time.Now()
	instance, err := launcher.Launch(ctx, l.spec)
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("start the adapter: %w", ctx.Err()) // cut off: it says nothing of the adapter
	}
	var failed *supervisor.StartError
	if errors.As(err, &failed) {
		r.exit("start", failed.Cause, failed.Detail, failed.Exit)
		return nil
	}
	if err != nil {
		return fmt.Errorf("start the adapter: %w", err)
	}
	r.add("start", doctor.OK, "", "after %d ms of %s, with SDK %s", time.Since(began).Milliseconds(), l.spec.StartTimeout, instance.Info().SDK)
	r.capabilities(instance.Info())
	r.Serves = t.health(ctx, instance, r)
	t.stop(instance, r)
	r.memory(instance.Exit().PeakRSS, l.spec.MemoryMiB)
	return ctx.Err()
}

// capabilities tells what the adapter can do, and what it costs that it cannot.
func (r *Result) capabilities(info sdk.Info) {
	var names []string
	for _, c := range info.Capabilities {
		names = append(names, string(c))
	}
	r.add("capabilities", doctor.OK, "", "%s", strings.Join(names, " "))
	if !info.Can(sdk.CanFindMessageLog) {
		r.add("capabilities", doctor.Info, "", "without %s a person must settle each call of unknown outcome", sdk.CanFindMessageLog)
	}
	if !info.Can(sdk.CanCheckHealth) {
		r.add("capabilities", doctor.Info, "", "without %s every process that runs counts as healthy", sdk.CanCheckHealth)
	}
}

// health asks the adapter how it is, and reports whether it serves.
func (t Trial) health(ctx context.Context, instance *launch.Instance, r *Result) bool {
	ctx, cancel := context.WithTimeout(ctx, t.HealthWithin)
	defer cancel()
	health, err := instance.Health(ctx)
	switch {
	case err != nil && endsSoon(instance.Done()):
		exit := instance.Exit()
		r.exit("health", exit.Cause, "the process ended when it was asked how it is", exit)
		return false
	case err != nil:
		r.add("health", doctor.Fail, supervisor.Hang.Remedy(), "%s: no answer within %s: %v", supervisor.Hang, t.HealthWithin, err)
		return false
	case !health.Serving:
		r.add("health", doctor.Fail, supervisor.NotServing.Remedy(), "%s: %s", supervisor.NotServing, health.Message)
		return false
	}
	r.add("health", doctor.OK, "", "serving")
	return true
}

// endsSoon reports whether a process whose connection failed is at its end, which is
// seen a moment later.
func endsSoon(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(time.Second):
		return false
	}
}

// isDead reports whether the process has ended.
func isDead(instance *launch.Instance) bool {
	select {
	case <-instance.Dead():
		return true
	default:
		return false
	}
}

// stop ends the process as a host does, by force if it must.
func (t Trial) stop(instance *launch.Instance, r *Result) {
	ctx, cancel := context.WithTimeout(context.Background(), t.StopWithin)
	defer cancel()
	began, wasDead := time.Now(), isDead(instance)
	instance.Stop(ctx)
	switch exit := instance.Exit(); {
	case wasDead && !r.Serves: // as was said of its health
	case ctx.Err() != nil:
		r.add("stop", doctor.Warn, "let main return when serve.Adapter does, and let nothing wait for ever", "it did not end within %s of being asked to, and was killed", t.StopWithin)
	case exit.Code != 0:
		r.add("stop", doctor.Warn, "let main return when serve.Adapter does", "it ended with exit code %d when it was asked to", exit.Code)
	default:
		r.add("stop", doctor.OK, "", "after %d ms", time.Since(began).Milliseconds())
	}
}

// memory compares the most memory that the process had with its limit.
func (r *Result) memory(peak int64, limitMiB int) {
	const miB = 1 << 20
	switch {
	case peak == 0: // not known on this system
	case limitMiB > 0 && peak > int64(limitMiB)*miB:
		r.add("memory", doctor.Warn, "raise run.limits.memoryMiB", "%d MiB without a call, and run.limits.memoryMiB is %d", peak/miB, limitMiB)
	default:
		r.add("memory", doctor.OK, "", "%d MiB without a call; run.limits.memoryMiB is %d", peak/miB, limitMiB)
	}
}

// shownLines is how many of the last lines on standard error a finding shows.
const shownLines = 10

// exit adds how a process failed, with the last lines it printed.
func (r *Result) exit(check string, cause supervisor.Cause, detail string, exit supervisor.Exit) {
	r.add(check, doctor.Fail, cause.Remedy(), "%s: %s", cause, detail)
	lines := exit.Stderr
	if omitted := len(lines) - shownLines; omitted > 0 {
		r.add("stderr", doctor.Info, "", "(%d lines omitted)", omitted)
		lines = lines[omitted:]
	}
	for _, line := range lines {
		r.add("stderr", doctor.Info, "", "%s", line)
	}
}

func (r *Result) add(check string, status doctor.Status, remedy, format string, args ...any) {
	r.Findings = append(r.Findings, doctor.Finding{Check: check, Status: status, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

// write prints the result for people.
func (r *Result) write(out io.Writer) error {
	if err := doctor.Print(out, r.Findings); err != nil {
		return err
	}
	calls := "calls"
	if !r.Serves {
		calls = "no calls"
	}
	_, err := fmt.Fprintf(out, "\na host would send %s to it\n", calls)
	return err
}
