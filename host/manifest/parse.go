package manifest

import (
	"regexp"
	"slices"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

// MaxBytes is the size of the largest manifest that Parse reads.
const MaxBytes = 256 << 10

// CodeProtocol is the code of the fault that a manifest names no version of the
// adapter contract that this host speaks.
const CodeProtocol = "protocol_mismatch"

// Sizes of what a manifest may hold, in characters or items.
const (
	maxName        = 40
	maxVersion     = 64
	maxTitle       = 200
	maxDescription = 2000
	maxURL         = 2048
	maxProtocols   = 16
)

var (
	nameShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	// versionShape is the expression of semver.org, without a leading v.
	versionShape = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
		`(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?` +
		`(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)
	webURL = regexp.MustCompile(`^https?://[^\s/?#@{}]+([/?#][^\s{}]*)?$`)
)

// ValidName reports whether name can be the name of an adapter.
func ValidName(name string) bool { return nameShape.MatchString(name) }

// ValidVersion reports whether version is a semantic version without a leading
// v, short enough for a manifest.
func ValidVersion(version string) bool {
	return len(version) <= maxVersion && versionShape.MatchString(version)
}

// Parse reads and checks a manifest. The error is a *strictjson.SyntaxError when
// raw is no JSON, else strictjson.Faults with every fault at once; no error
// repeats a value of the manifest. A fault with CodeProtocol tells that the
// package is made for another version of the adapter contract.
//
// The manifest keeps raw, which must not change afterwards. It may be read
// concurrently.
func Parse(raw []byte) (*Manifest, error) {
	if len(raw) > MaxBytes {
		return nil, strictjson.Faults{{Code: strictjson.CodeInvalid, Detail: "the manifest is larger than 256 KiB"}}
	}
	root, err := strictjson.Parse(raw)
	if err != nil {
		return nil, err
	}
	var r reader
	if nul := root.FindNUL(); nul != nil {
		r.invalid(nul, "must not contain U+0000")
	}
	m := r.manifest(root)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m.Raw = raw
	return m, nil
}

func (r *reader) manifest(root *strictjson.Node) *Manifest {
	m := &Manifest{}
	if !r.Want(root, strictjson.Object) || !r.schemaVersion(root) {
		return m
	}
	r.Closed(root, "schemaVersion", "name", "displayName", "version", "author", "protocolVersions", "run", "auth",
		"contactPageUrl", "logPageUrl", "page", "settings", "appConnect")
	m.Name = r.match(r.Require(root, "name"), nameShape, maxName,
		"lower-case letters, digits and hyphens, beginning with a letter")
	m.DisplayName = r.text(r.Require(root, "displayName"), maxTitle)
	m.Version = r.match(r.Require(root, "version"), versionShape, maxVersion,
		"a semantic version such as 1.0.0, without a leading v")
	m.Author = r.author(root.Get("author"))
	m.ProtocolVersions = r.protocolVersions(r.Require(root, "protocolVersions"))
	m.Run = r.run(r.Require(root, "run"))
	m.Auth = r.auth(r.Require(root, "auth"))
	m.ContactPageURL = r.template(root.Get("contactPageUrl"), contactPlaceholders)
	m.LogPageURL = r.template(root.Get("logPageUrl"), logPlaceholders)
	m.AdditionalFields = r.page(root.Get("page"))
	m.Settings = r.settings(root.Get("settings"))
	if n := root.Get("appConnect"); r.Want(n, strictjson.Object) {
		m.AppConnect = n.Raw()
	}
	return m
}

// schemaVersion reports whether the manifest is of the format that this package
// reads. The rest of any other format says nothing that could be checked.
func (r *reader) schemaVersion(root *strictjson.Node) bool {
	n := r.Require(root, "schemaVersion")
	if n == nil {
		return true // read on: it was most likely forgotten
	}
	before := len(r.Faults)
	r.integer(n, SchemaVersion, SchemaVersion, 0)
	return len(r.Faults) == before
}

func (r *reader) author(n *strictjson.Node) Author {
	if !r.object(n, "name", "websiteUrl") {
		return Author{}
	}
	a := Author{Name: r.text(r.Require(n, "name"), maxTitle)}
	if site := n.Get("websiteUrl"); !site.Is(strictjson.String) || site.Text() != "" {
		a.WebsiteURL = r.match(site, webURL, maxURL, "an http or https URL")
	}
	return a
}

func (r *reader) protocolVersions(n *strictjson.Node) []int {
	if n == nil {
		return nil
	}
	var out []int
	before := len(r.Faults)
	seen := map[string]bool{}
	for _, item := range r.list(n, maxProtocols) {
		out = append(out, r.integer(item, 1, 1000, 0))
		r.once(item, seen, string(item.Raw()))
	}
	if len(r.Faults) == before && !slices.Contains(out, sdk.ProtocolVersion) {
		r.Add(n, CodeProtocol, "must contain %d, the version of the adapter contract that this host speaks", sdk.ProtocolVersion)
	}
	return out
}

func (r *reader) auth(n *strictjson.Node) Auth {
	if !r.object(n, "type") {
		return Auth{}
	}
	return Auth{Type: oneOf(r, r.Require(n, "type"), OAuth, APIKey, Basic, NoAuth)}
}

func (r *reader) page(n *strictjson.Node) []Field {
	if !r.object(n, "messageLog") {
		return nil
	}
	log := n.Get("messageLog")
	if !r.object(log, "additionalFields") {
		return nil
	}
	return r.fields(log.Get("additionalFields"))
}
