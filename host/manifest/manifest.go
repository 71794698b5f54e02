// Package manifest reads the manifests of adapter packages and checks them before
// anything of the package is executed.
//
// Parse is strict: an unknown member is a fault, and every fault is reported at
// once with its JSON Pointer and, where a name was misspelt, the name that was
// probably meant. A Manifest that Parse returned is valid, its defaults are
// filled in, and it is read-only.
package manifest

import (
	"encoding/json"
	"regexp"
	"time"
)

// SchemaVersion is the version of the manifest format.
const SchemaVersion = 1

// Manifest describes one version of one adapter.
type Manifest struct {
	Name        string
	DisplayName string
	// Version is a semantic version without a leading v.
	Version          string
	Author           Author
	ProtocolVersions []int
	Run              Run
	Auth             Auth
	// ContactPageURL and LogPageURL are templates with {hostname}, {contactId},
	// {contactType} and {logId}; empty when the CRM has no such page.
	ContactPageURL string
	LogPageURL     string
	// AdditionalFields are the custom fields of a message log.
	AdditionalFields []Field
	// Settings are the settings of a tenant, sections and groups flattened.
	Settings []Setting
	// AppConnect is a JSON object that is stored and served verbatim; nil when
	// absent.
	AppConnect json.RawMessage
	// Raw is the manifest as it stands in the package.
	Raw json.RawMessage
}

// Author is who ships the adapter.
type Author struct {
	Name       string
	WebsiteURL string
}

// Run says how the adapter's process is run.
type Run struct {
	// Runtime is "native".
	Runtime string
	// Files maps "os/arch" to the executable's path inside the package.
	Files map[string]string
	Args  []string
	// Env names the variables that the adapter understands.
	Env []string
	// Egress lists the CRM hosts it may talk to, as "*.pipedrive.com".
	Egress []string
	// Isolation is Shared or Dedicated; default Shared.
	Isolation Isolation
	Limits    Limits
	Reconcile Reconcile
}

// Isolation says which tenants share a process.
type Isolation string

// The isolations.
const (
	Shared    Isolation = "shared"    // one process per version serves all tenants
	Dedicated Isolation = "dedicated" // one process per tenant
)

// Limits bound one process. NotEnforced tells which of them bind already.
type Limits struct {
	MemoryMiB    int           // default 256
	CPUs         float64       // default 1.0
	Concurrency  int           // calls at once; default 32
	StartTimeout time.Duration // default 10 s
	CallTimeout  time.Duration // length of a send window; default 20 s
}

// Reconcile says how long a CRM may keep one in doubt.
type Reconcile struct {
	// ApplyWithin is the longest time after sending within which the CRM may
	// still apply a request; default 30 s.
	ApplyWithin time.Duration
	// SearchLag is the longest lag of the CRM's search; default 30 s.
	SearchLag time.Duration
	// IdempotentCreate is whether the CRM itself makes one record of two creates
	// with the same idempotency key; default false. Nothing is made of it yet: see
	// NotEnforced.
	IdempotentCreate bool
}

// AuthType is how the CRM authenticates.
type AuthType string

// The ways to authenticate.
const (
	OAuth  AuthType = "oauth"
	APIKey AuthType = "apiKey"
	Basic  AuthType = "basic"
	NoAuth AuthType = "none"
)

// Auth says how the CRM authenticates.
type Auth struct{ Type AuthType }

// FieldType is the type of a custom field.
type FieldType string

// The types of custom fields.
const (
	Selection  FieldType = "selection"
	InputField FieldType = "inputField"
	Checkbox   FieldType = "checkbox"
	Date       FieldType = "date"
	NumberType FieldType = "number"
	Warning    FieldType = "warning"
)

// Field is one custom field of page.messageLog.additionalFields.
type Field struct {
	Const       string
	Title       string
	Description string
	Type        FieldType
	Required    bool
	// Options are the choices of a selection.
	Options []Option
	// AllowCustomValue says that a selection takes other values than Options.
	AllowCustomValue bool
	// ContactDependent says that the choices depend on the contact and are not
	// known to the manifest: a selection then takes any value.
	ContactDependent bool
	// Pattern is an RE2 expression that must match somewhere in the text of an
	// inputField; empty when any text will do.
	Pattern      string
	DefaultValue json.RawMessage // nil when there is none

	pattern *regexp.Regexp // Pattern compiled, nil when empty
}

// Option is one choice of a selection.
type Option struct {
	// Const is the value as canonical text.
	Const string
	Title string
}

// SettingType is the type of a setting.
type SettingType string

// The types of settings. Sections and groups only hold others and do not appear
// in Manifest.Settings.
const (
	SettingSection SettingType = "section"
	SettingGroup   SettingType = "group"
	SettingOption  SettingType = "option"
	SettingBoolean SettingType = "boolean"
	SettingInput   SettingType = "inputField"
	SettingWarning SettingType = "warning"
)

// Scope is who may set a setting.
type Scope string

// The scopes.
const (
	ScopeTenant Scope = "tenant"
	ScopeUser   Scope = "user"
)

// Setting is one setting of a tenant or of a user.
type Setting struct {
	ID          string
	Type        SettingType
	Name        string
	Description string
	// Placeholder is shown in an empty inputField.
	Placeholder string
	// Text is what a warning says.
	Text string
	// Required says that a tenant must set it unless there is a default.
	Required bool
	// Secret says that the value is stored encrypted and never shown again.
	Secret bool
	// Scope is who may set it; default ScopeTenant. A tenant may always.
	Scope Scope
	// Options are the choices of an option.
	Options      []Option
	DefaultValue json.RawMessage // nil when there is none
}
