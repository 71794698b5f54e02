package httpapi

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The types in this file describe request bodies in the OpenAPI document. Bodies
// themselves are read by whoever is asked: package relay, package tenant, and
// settle.go; a test sends every member described here and none else is taken.

// addBody describes the body of addMessageLog.
type addBody struct {
	User                 *userBody    `json:"user,omitempty" doc:"The user the message belongs to."`
	ContactInfo          contactBody  `json:"contactInfo" doc:"The contact in the CRM."`
	AuthHeader           *string      `json:"authHeader,omitempty" maxLength:"8192" doc:"The Authorization header for the CRM. Required unless the manifest's auth.type is none."`
	Message              *messageBody `json:"message,omitempty" doc:"One message record, or a group of one conversation."`
	Messages             *messageBody `json:"messages,omitempty" doc:"Another name of message; send only one of the two."`
	AdditionalSubmission *anyObject   `json:"additionalSubmission,omitempty" doc:"Values of the custom fields in the adapter's manifest, by const."`
	RecordingLink        *string      `json:"recordingLink,omitempty" nullable:"true" format:"uri" doc:"Link to the recording when the message is a voicemail."`
	TimezoneOffset       *zoneBody    `json:"timezoneOffset,omitempty" doc:"The user's time zone: +08:00, Z, an IANA name, or a number of hours or minutes. Default: user.timezone, else the tenant's, else UTC."`
}

type userBody struct {
	_        struct{} `json:"-" additionalProperties:"true"`
	ID       *idBody  `json:"id,omitempty"`
	Name     *string  `json:"name,omitempty"`
	Hostname *string  `json:"hostname,omitempty" doc:"Bare host name of the user's CRM account."`
	Timezone *string  `json:"timezone,omitempty" doc:"The user's time zone, as in timezoneOffset."`
}

type contactBody struct {
	_           struct{} `json:"-" additionalProperties:"true"`
	ID          idBody   `json:"id"`
	Type        *string  `json:"type,omitempty" doc:"The kind of contact in the CRM; default empty."`
	PhoneNumber *string  `json:"phoneNumber,omitempty" doc:"E.164."`
	Name        *string  `json:"name,omitempty"`
}

// idBody is an id as integer or string.
type idBody struct{}

// Schema describes an id.
func (idBody) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "An id: a string, or an integer of any number of digits. 7 and \"7\" are the same.",
		OneOf:       []*huma.Schema{{Type: "string", MinLength: new(1), MaxLength: new(256)}, {Type: "integer"}},
	}
}

// zoneBody is a time zone offset.
type zoneBody struct{}

// Schema describes a time zone offset.
func (zoneBody) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: "string"}, {Type: "number"}, {Type: "null"}}}
}

// anyObject is an object with any members.
type anyObject struct{}

// Schema describes an open object.
func (anyObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "object", AdditionalProperties: true}
}

// messageBody is a message record or an array of them.
type messageBody struct{}

// Schema describes a message or a group.
func (messageBody) Schema(r huma.Registry) *huma.Schema {
	record := &huma.Schema{
		Type:        "object",
		Description: "A RingCentral Message Store record. Every member reaches the adapter byte for byte.",
		Properties: map[string]*huma.Schema{
			"id": idBody{}.Schema(r),
			"creationTime": {
				Description: "RFC 3339, or milliseconds since 1970.",
				OneOf:       []*huma.Schema{{Type: "string"}, {Type: "integer"}},
			},
		},
		Required:             []string{"id", "creationTime"},
		AdditionalProperties: true,
	}
	return &huma.Schema{OneOf: []*huma.Schema{
		record, {Type: "array", Items: record, MinItems: new(1), MaxItems: new(500)},
	}}
}

// retryBody describes the body of retry.
type retryBody struct {
	AuthHeader *string `json:"authHeader,omitempty" nullable:"true" maxLength:"8192" doc:"A fresh Authorization header for the CRM; default: the stored one."`
}

// resolveBody describes the body of resolve.
type resolveBody struct {
	LogID      *string `json:"logId,omitempty" nullable:"true" minLength:"1" maxLength:"512" doc:"The CRM record that a person has found."`
	NotLogged  *bool   `json:"notLogged,omitempty" nullable:"true" doc:"true: a person has made sure that there is no CRM record. Send this or logId."`
	AuthHeader *string `json:"authHeader,omitempty" nullable:"true" maxLength:"8192" doc:"An Authorization header for a last search of the CRM."`
}

// processBody describes the body of restart and unquarantine.
type processBody struct {
	Version *string `json:"version,omitempty" nullable:"true" doc:"Only processes of this version; default all."`
	Tenant  *string `json:"tenant,omitempty" nullable:"true" doc:"Only the process of this tenant; default all."`
}

// installBody describes the body of install.
type installBody struct {
	Version *string `json:"version,omitempty" nullable:"true" doc:"Only this version; default every version that lies in the adapters folders."`
}

// tenantBody describes the body of a tenant.
type tenantBody struct {
	DisplayName *string `json:"displayName,omitempty" nullable:"true" maxLength:"200" doc:"Default empty."`
	Timezone    *string `json:"timezone,omitempty" nullable:"true" doc:"An IANA name or an offset; default UTC."`
}

// enablementBody describes the body of PUT of an enablement.
type enablementBody struct {
	Enabled       bool       `json:"enabled" doc:"false is never refused for what has become of the adapter."`
	Version       *string    `json:"version,omitempty" nullable:"true" doc:"Default: the newest stable version of this moment, which is stored."`
	Isolation     *string    `json:"isolation,omitempty" nullable:"true" enum:"shared" doc:"Default: the manifest's. A process per tenant (dedicated) is not available in this version."`
	OnUnavailable *string    `json:"onUnavailable,omitempty" nullable:"true" enum:"fail" doc:"Default fail. queue is not available in this version."`
	Settings      *anyObject `json:"settings,omitempty" doc:"Values by id, as the manifest's settings describe. [redacted] keeps the stored value."`
}

// enablementPatch describes the body of PATCH of an enablement.
type enablementPatch struct {
	Enabled       *bool      `json:"enabled,omitempty" doc:"false is never refused for what has become of the adapter."`
	Version       *string    `json:"version,omitempty" nullable:"true" doc:"null: the newest stable version of this moment."`
	Isolation     *string    `json:"isolation,omitempty" nullable:"true" enum:"shared"`
	OnUnavailable *string    `json:"onUnavailable,omitempty" nullable:"true" enum:"fail"`
	Settings      *anyObject `json:"settings,omitempty" doc:"Values by id; null removes one, [redacted] keeps it."`
}

// tokenBody describes the body of a new token.
type tokenBody struct {
	Name      string     `json:"name" minLength:"1" maxLength:"200" doc:"What the token is for."`
	ExpiresAt *time.Time `json:"expiresAt,omitempty" nullable:"true" doc:"Default: never."`
}

// limitParam is the number of items on a page.
type limitParam string

// Schema describes it.
func (limitParam) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "integer", Minimum: new(1.0), Maximum: new(float64(maxLimit)), Default: defaultLimit}
}

// boolParam is true or false.
type boolParam string

// Schema describes it.
func (boolParam) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "boolean", Default: false}
}

// timeParam is a moment.
type timeParam string

// Schema describes it.
func (timeParam) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Format: "date-time"}
}
