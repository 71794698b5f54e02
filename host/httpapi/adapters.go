package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Adapter is an installed adapter as callers see it. Tenants see names and
// versions; what concerns processes, packages and paths is for the admin.
type Adapter struct {
	Name        string           `json:"name"`
	DisplayName string           `json:"displayName"`
	Latest      *string          `json:"latest" doc:"The newest stable version; null when there is none."`
	Versions    []AdapterVersion `json:"versions" doc:"Usable versions, newest first."`
	Processes   []ProcessStatus  `json:"processes,omitempty" doc:"For the admin only."`
	Problems    []PackageProblem `json:"problems,omitempty" doc:"Packages that cannot be used. For the admin only."`
}

// AdapterVersion is a usable version of an adapter.
type AdapterVersion struct {
	Version     string   `json:"version"`
	AuthType    string   `json:"authType" enum:"oauth,apiKey,basic,none"`
	Digest      string   `json:"digest,omitempty" doc:"SHA-256 of the package's checksums.txt. For the admin only."`
	NotEnforced []string `json:"notEnforced,omitempty" doc:"What the manifest asks for and this build does not enforce. For the admin only."`
}

// PackageProblem says why a package cannot be used.
type PackageProblem struct {
	Version string             `json:"version"`
	Dir     string             `json:"dir"`
	Cause   string             `json:"cause"`
	Detail  string             `json:"detail"`
	Remedy  string             `json:"remedy"`
	Errors  []strictjson.Fault `json:"errors,omitempty" doc:"The faults of the manifest."`
}

type adapterInput struct{ AdapterPath }

type adapterOutput struct{ Body Adapter }

type adaptersOutput struct{ Body page[Adapter] }

type manifestInput struct {
	AdapterPath
	Version string `path:"version" doc:"One of the adapter's versions."`
}

type manifestOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (a *API) adapterRoutes() {
	register(a, route{
		method: http.MethodGet, path: "/v1/adapters", id: "listAdapters", tag: "Adapters",
		summary: "Installed adapters, by name", right: anyToken, status: http.StatusOK,
	}, a.listAdapters)
	register(a, route{
		method: http.MethodGet, path: "/v1/adapters/{adapter}", id: "getAdapter", tag: "Adapters",
		summary: "One installed adapter", right: anyToken, status: http.StatusOK,
		codes: []fault.Code{fault.AdapterNotFound},
	}, a.getAdapter)
	const manifestPath = "/v1/adapters/{adapter}/versions/{version}/manifest"
	register(a, route{
		method: http.MethodGet, path: manifestPath, id: "getManifest", tag: "Adapters",
		summary: "The manifest of a version, as it stands in the package", right: anyToken, status: http.StatusOK,
		codes: []fault.Code{fault.AdapterNotFound},
	}, a.getManifest)
	answers := operation(a.huma.OpenAPI(), http.MethodGet, manifestPath).Responses["200"]
	answers.Content[typeJSON].Schema = anyObject{}.Schema(nil)
	delete(answers.Headers, "Content-Type")
	register(a, route{
		method: http.MethodPost, path: "/v1/adapters/{adapter}/install", id: "installAdapter", tag: "Adapters",
		summary: "Take the packages of an adapter as they lie in the adapters folders now",
		detail: "Reads the adapters folders again and makes what lies there of the adapter the installed packages, also where it " +
			"differs from what was installed under the version before. Every package is checked first, and where a process serves calls, " +
			"one of the new package must take calls before anything changes; then calls go to the new one, and the old one ends with its calls. " +
			"A package that is refused changes nothing. No tenant gets another version by it.",
		right: adminOnly, body: optionalBody, bodyType: installBody{}, status: http.StatusOK,
		codes: []fault.Code{fault.AdapterNotFound, fault.Conflict, fault.Outcome},
	}, a.installAdapter)
	a.processRoutes()
}

func (a *API) listAdapters(_ context.Context, rq *request, in *PageInput) (*adaptersOutput, error) {
	var faults strictjson.Faults
	after, limit := in.read(&faults)
	if err := invalid(faults); err != nil {
		return nil, err
	}
	var items []Adapter
	next := ""
	for _, known := range a.deps.Catalog.Adapters() {
		if known.Name <= after || !shown(known, rq) {
			continue
		}
		if len(items) == limit {
			next = items[limit-1].Name
			break
		}
		items = append(items, a.viewAdapter(known, rq))
	}
	return &adaptersOutput{newPage(items, next)}, nil
}

// shown reports whether the caller sees the adapter: without a usable version it
// is the admin's business alone.
func shown(known catalog.Adapter, rq *request) bool { return rq.admin || len(known.Versions) > 0 }

// adapter returns an adapter that the caller sees.
func (a *API) adapter(name string, rq *request) (catalog.Adapter, error) {
	for _, known := range a.deps.Catalog.Adapters() {
		if known.Name == name && shown(known, rq) {
			return known, nil
		}
	}
	return catalog.Adapter{}, fault.New(fault.AdapterNotFound, "")
}

func (a *API) getAdapter(_ context.Context, rq *request, in *adapterInput) (*adapterOutput, error) {
	known, err := a.adapter(in.Adapter, rq)
	if err != nil {
		return nil, err
	}
	return &adapterOutput{a.viewAdapter(known, rq)}, nil
}

// installAdapter makes what lies in the adapters folders the installed packages. It
// may outlast the time that the server has for an answer: a new process starts.
func (a *API) installAdapter(ctx context.Context, rq *request, in *adapterInput) (*adapterOutput, error) {
	version, err := rq.installVersion()
	if err != nil {
		return nil, err
	}
	if !manifest.ValidName(in.Adapter) {
		return nil, fault.New(fault.AdapterNotFound, "")
	}
	control := http.NewResponseController(rq.w)
	_ = control.SetWriteDeadline(time.Time{}) // fails only where there is no network
	err = a.deps.Installer.Install(ctx, in.Adapter, version)
	_ = control.SetWriteDeadline(time.Now().Add(writeSlack))
	if err != nil {
		return nil, err
	}
	known, err := a.adapter(in.Adapter, rq)
	if err != nil {
		return nil, err
	}
	return &adapterOutput{a.viewAdapter(known, rq)}, nil
}

// installVersion reads which version is meant, empty for all.
func (rq *request) installVersion() (string, error) {
	root, err := rq.document()
	if err != nil {
		return "", err
	}
	var faults strictjson.Faults
	faults.Closed(root, "version")
	version := filled(&faults, root.Get("version"))
	if version != "" && !manifest.ValidVersion(version) {
		faults.Add(root.Get("version"), strictjson.CodeInvalid, "must be a semantic version without a leading v")
	}
	return version, invalid(faults)
}

func (a *API) viewAdapter(known catalog.Adapter, rq *request) Adapter {
	out := Adapter{Name: known.Name, DisplayName: known.DisplayName, Versions: []AdapterVersion{}}
	if latest, err := a.deps.Catalog.Latest(known.Name); err == nil {
		out.Latest = &latest.Version
	}
	for _, version := range known.Versions {
		pkg, err := a.deps.Catalog.Lookup(known.Name, version)
		if err != nil {
			continue // it was removed just now
		}
		v := AdapterVersion{Version: version, AuthType: string(pkg.Manifest.Auth.Type)}
		if rq.admin {
			v.Digest, v.NotEnforced = pkg.Digest, pkg.Manifest.NotEnforced()
		}
		out.Versions = append(out.Versions, v)
	}
	if !rq.admin {
		return out
	}
	for _, p := range known.Problems {
		out.Problems = append(out.Problems, PackageProblem{p.Version, p.Dir, p.Cause, p.Detail, p.Remedy, p.Faults})
	}
	for _, s := range a.deps.Processes.Statuses() {
		if s.Adapter == known.Name {
			out.Processes = append(out.Processes, s)
		}
	}
	slices.SortFunc(out.Processes, func(x, y ProcessStatus) int {
		return cmp.Or(strings.Compare(x.Version, y.Version), strings.Compare(x.Tenant, y.Tenant))
	})
	return out
}

func (a *API) getManifest(_ context.Context, _ *request, in *manifestInput) (*manifestOutput, error) {
	if !manifest.ValidName(in.Adapter) || !manifest.ValidVersion(in.Version) {
		return nil, fault.New(fault.AdapterNotFound, "")
	}
	pkg, err := a.deps.Catalog.Lookup(in.Adapter, in.Version)
	if err != nil { // why a package is refused is the admin's business
		return nil, fault.New(fault.AdapterNotFound, "this version is not installed, or cannot be used")
	}
	return &manifestOutput{typeJSON, pkg.Manifest.Raw}, nil
}
