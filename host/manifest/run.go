package manifest

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// Sizes of the members of run.
const (
	maxPath    = 255
	maxArgs    = 64
	maxArg     = 1024
	maxEnv     = 64
	maxEnvName = 80
	maxEgress  = 64
)

// The ranges of limits and reconcile.
const (
	minMemoryMiB, maxMemoryMiB     = 16, 1 << 20
	minCPUs, maxCPUs               = 0.01, 1024.0
	minConcurrency, maxConcurrency = 1, 10_000
	defaultMemoryMiB               = 256
	defaultCPUs                    = 1.0
	defaultConcurrency             = 32
)

var (
	startTimeoutRange = durationRange{time.Millisecond, 5 * time.Minute, 10 * time.Second}
	callTimeoutRange  = durationRange{time.Millisecond, 10 * time.Minute, 20 * time.Second}
	reconcileRange    = durationRange{0, 24 * time.Hour, 30 * time.Second}
)

// platforms are the "os/arch" pairs for which a package may hold an executable.
var platforms = []string{
	"linux/amd64", "linux/arm64", "linux/386", "linux/arm", "linux/loong64", "linux/ppc64le", "linux/riscv64", "linux/s390x",
	"darwin/amd64", "darwin/arm64",
}

var (
	// pathShape leaves out what is odd in a package: empty, hidden and parent
	// segments, spaces, backslashes, a leading hyphen.
	pathShape = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$`)
	envShape  = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// Variables that change the host's hold on the process, or what is executed in
// it, are not the author's to name.
var (
	refusedPrefixes = []string{"PATCHBAY_", "PLUGIN_", "LD_"}
	refusedNames    = []string{"GODEBUG", "NODE_OPTIONS"}
)

// ValidEnv reports whether an adapter may be given the variable name.
func ValidEnv(name string) bool {
	refused := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return len(name) <= maxEnvName && envShape.MatchString(name) &&
		!slices.ContainsFunc(refusedPrefixes, refused) && !slices.Contains(refusedNames, name)
}

func (r *reader) run(n *strictjson.Node) Run {
	if !r.object(n, "runtime", "files", "args", "env", "egress", "isolation", "limits", "reconcile") {
		return Run{}
	}
	run := Run{
		Runtime:   oneOf(r, r.Require(n, "runtime"), "native"),
		Files:     r.files(r.Require(n, "files")),
		Args:      r.args(n.Get("args")),
		Env:       r.env(n.Get("env")),
		Egress:    r.egress(n.Get("egress")),
		Isolation: Shared,
		Limits:    r.limits(n.Get("limits")),
		Reconcile: r.reconcile(n.Get("reconcile")),
	}
	if isolation := n.Get("isolation"); isolation != nil {
		run.Isolation = oneOf(r, isolation, Shared, Dedicated)
	}
	return run
}

func (r *reader) files(n *strictjson.Node) map[string]string {
	if !r.object(n, platforms...) {
		return nil
	}
	if len(n.Members()) == 0 {
		r.invalid(n, "must name the executable of at least one platform")
	}
	out := make(map[string]string, len(n.Members()))
	for _, m := range n.Members() {
		path := r.match(m.Value, pathShape, maxPath, "a relative path of plain file names inside the package")
		if path == ManifestFile || path == ChecksumsFile {
			r.invalid(m.Value, "must not be one of the package's own files")
		}
		out[m.Name] = path
	}
	return out
}

// The package's own files, which stand beside the adapter's.
const (
	ManifestFile  = "manifest.json"
	ChecksumsFile = "checksums.txt"
)

func (r *reader) args(n *strictjson.Node) []string {
	var out []string
	for _, item := range r.list(n, maxArgs) {
		if !r.Want(item, strictjson.String) {
			continue
		}
		if len(item.Text()) > maxArg {
			r.invalid(item, "must be at most %d bytes long", maxArg)
		}
		out = append(out, item.Text())
	}
	return out
}

func (r *reader) env(n *strictjson.Node) []string {
	var out []string
	seen := map[string]bool{}
	for _, item := range r.list(n, maxEnv) {
		if !r.Want(item, strictjson.String) {
			continue
		}
		name := item.Text()
		switch {
		case !envShape.MatchString(name) || len(name) > maxEnvName:
			r.invalid(item, "must be upper-case letters, digits and underscores, beginning with a letter, at most %d characters long", maxEnvName)
		case !ValidEnv(name):
			r.invalid(item, "is reserved: PATCHBAY_*, PLUGIN_*, LD_*, GODEBUG and NODE_OPTIONS are not the adapter's")
		}
		r.once(item, seen, name)
		out = append(out, name)
	}
	return out
}

func (r *reader) egress(n *strictjson.Node) []string {
	var out []string
	seen := map[string]bool{}
	for _, item := range r.list(n, maxEgress) {
		if !r.Want(item, strictjson.String) {
			continue
		}
		if !validEgress(item.Text()) {
			r.invalid(item, `must be a host name in lower case, or "*." and a host name of at least two parts, without scheme, port or IP address`)
		}
		r.once(item, seen, item.Text())
		out = append(out, item.Text())
	}
	return out
}

func (r *reader) limits(n *strictjson.Node) Limits {
	l := Limits{defaultMemoryMiB, defaultCPUs, defaultConcurrency, startTimeoutRange.standard, callTimeoutRange.standard}
	if !r.object(n, "memoryMiB", "cpus", "concurrency", "startTimeout", "callTimeout") {
		return l
	}
	return Limits{
		MemoryMiB:    r.integer(n.Get("memoryMiB"), minMemoryMiB, maxMemoryMiB, l.MemoryMiB),
		CPUs:         r.number(n.Get("cpus"), minCPUs, maxCPUs, l.CPUs),
		Concurrency:  r.integer(n.Get("concurrency"), minConcurrency, maxConcurrency, l.Concurrency),
		StartTimeout: r.duration(n.Get("startTimeout"), startTimeoutRange),
		CallTimeout:  r.duration(n.Get("callTimeout"), callTimeoutRange),
	}
}

func (r *reader) reconcile(n *strictjson.Node) Reconcile {
	if !r.object(n, "applyWithin", "searchLag", "idempotentCreate") {
		return Reconcile{ApplyWithin: reconcileRange.standard, SearchLag: reconcileRange.standard}
	}
	return Reconcile{
		ApplyWithin:      r.duration(n.Get("applyWithin"), reconcileRange),
		SearchLag:        r.duration(n.Get("searchLag"), reconcileRange),
		IdempotentCreate: r.flag(n.Get("idempotentCreate")),
	}
}

// Executable returns the path inside the package of the executable for that
// platform, and whether there is one.
func (m *Manifest) Executable(goos, goarch string) (path string, ok bool) {
	path, ok = m.Run.Files[goos+"/"+goarch]
	return path, ok
}

// Platforms returns the "os/arch" pairs for which the manifest names an
// executable, sorted.
func (m *Manifest) Platforms() []string {
	out := make([]string, 0, len(m.Run.Files))
	for platform := range m.Run.Files {
		out = append(out, platform)
	}
	slices.Sort(out)
	return out
}

// NotEnforced names the members of run by which this build does not yet hold a
// process, or that it does not use. Memory and processor time are not limited;
// egress is kept by the SDK's HTTP client inside the adapter, but not by the host
// around it. A declared idempotent create spares no search and no person: a call
// of unknown outcome is settled as any other.
func (m *Manifest) NotEnforced() []string {
	out := []string{"limits.memoryMiB", "limits.cpus", "run.egress"}
	if m.Run.Reconcile.IdempotentCreate {
		out = append(out, "reconcile.idempotentCreate")
	}
	return out
}
