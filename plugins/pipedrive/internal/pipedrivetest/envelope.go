package pipedrivetest

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// info is what Pipedrive's refusals tell a client to read.
const info = "Please check developers.pipedrive.com"

// The codes of version 2.
const (
	codeBadRequest = "ERR_BAD_REQUEST"
	codeSchema     = "ERR_SCHEMA_VALIDATION_FAILED" // a member or parameter is unknown, or of a wrong type or format
	codeNotFound   = "ERR_NOT_FOUND"
)

// version is a version of the API: each has an envelope of its own.
type version int

const (
	v1 version = 1
	v2 version = 2
)

// reply is an answer before it is written.
type reply struct {
	status int
	body   any
}

// success is the envelope of what went well, in both versions.
type success struct {
	Success    bool        `json:"success"`
	Data       any         `json:"data"`
	Additional *additional `json:"additional_data,omitempty"`
}

// additional is the end of a list.
type additional struct {
	NextCursor *string `json:"next_cursor"`
}

// refusalV1 is the envelope of the gateway and of version 1.
type refusalV1 struct {
	Success   bool   `json:"success"`
	Error     string `json:"error"`
	ErrorCode int    `json:"errorCode"`
	ErrorInfo string `json:"error_info"`
}

// refusalV2 is the envelope of version 2. See
// https://pipedrive.readme.io/docs/core-api-concepts-responses.
type refusalV2 struct {
	Success    bool   `json:"success"`
	Error      string `json:"error"`
	Code       string `json:"code"`
	ErrorInfo  string `json:"error_info"`
	Data       any    `json:"data"`
	Additional any    `json:"additional_data"`
}

func done(data any) reply { return reply{http.StatusOK, success{Success: true, Data: data}} }

// refuse is a refusal in the envelope of its version. The message never repeats a
// value of the request.
func refuse(v version, status int, code, message string) reply {
	if v == v1 {
		return reply{status, refusalV1{Error: message, ErrorCode: status, ErrorInfo: info}}
	}
	return reply{status, refusalV2{Error: message, Code: code, ErrorInfo: info + "."}}
}

// invalid refuses a member or parameter of a request, in Pipedrive's words.
func invalid(name, why string) *reply {
	r := refuse(v2, http.StatusBadRequest, codeSchema, "Validation failed: "+name+": "+why)
	return &r
}

// bad refuses what is well formed, but not possible.
func bad(message string) *reply {
	r := refuse(v2, http.StatusBadRequest, codeBadRequest, message)
	return &r
}

func notFound(what string) reply {
	return refuse(v2, http.StatusNotFound, codeNotFound, what+" not found")
}

// text is the reply's body as it goes over the wire.
func (r reply) text() []byte {
	text, err := json.Marshal(r.body, json.Deterministic(true))
	if err != nil { // a type of this package that cannot be encoded: a defect
		return []byte(`{"success":false,"error":"the fake cannot write its answer"}`)
	}
	return text
}

// write sends the reply. That the client may be gone is not the fake's concern.
func (r reply) write(w http.ResponseWriter) {
	send(w, r.status, "application/json; charset=utf-8", r.text())
}

func send(w http.ResponseWriter, status int, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // see write
}
