package httpapi

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// ProblemDoc explains one problem code: to people at /problems/{code}, and in
// docs/ERRORS.md.
type ProblemDoc struct {
	Code    string `json:"code"`
	Status  int    `json:"status" doc:"The HTTP status."`
	Class   string `json:"class" enum:"unknown,retryable,permanent" doc:"The usual class; an adapter's fault carries its own."`
	Source  string `json:"source" enum:"caller,host,adapter,crm" doc:"Whose fault it usually is."`
	Title   string `json:"title"`
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`
}

// ProblemDocs returns the explanation of every code, in the order of fault.Codes.
func ProblemDocs() []ProblemDoc {
	codes := fault.Codes()
	out := make([]ProblemDoc, len(codes))
	for i, code := range codes {
		text := explanations[code]
		out[i] = ProblemDoc{
			Code: string(code), Status: problems[code], Class: code.Class().String(), Source: string(code.Source()),
			Title: code.Title(), Meaning: text.meaning, Remedy: text.remedy,
		}
	}
	return out
}

type explanation struct{ meaning, remedy string }

var explanations = map[fault.Code]explanation{
	fault.MalformedRequest: {
		"The body or the query cannot be read: it is no well-formed JSON object, a member name stands twice in one object, or it did not arrive completely.",
		"Correct the request. detail says where it breaks.",
	},
	fault.UnsupportedMediaType: {
		"The Content-Type is missing or another one, the charset is not UTF-8, or the body is compressed.",
		"Send Content-Type: application/json; for PATCH, application/merge-patch+json will do too.",
	},
	fault.RequestTooLarge: {
		"The body is larger than this host accepts. It was not read to its end.",
		"Send fewer messages in one request, or have the operator raise maxBody.",
	},
	fault.InvalidFields: {
		"The request is well-formed, but members are missing, unknown or wrong. errors lists all of them, each with its JSON Pointer.",
		"Correct every member that errors names. Nothing was sent to the CRM.",
	},
	fault.Unauthenticated: {
		"The request carries no token, or one that is not known, was revoked or has expired.",
		"Send Authorization: Bearer and a valid token. An admin makes tokens for a tenant.",
	},
	fault.Forbidden: {
		"The token is valid but does not open this route. A tenant's token gets this for every other tenant, whether it exists or not.",
		"Use a token of that tenant, or the admin token.",
	},
	fault.AdapterDisabled: {
		"The adapter is installed, but is not enabled for this tenant.",
		"Have an admin enable it: PATCH the enablement with {\"enabled\":true}.",
	},
	fault.TenantNotFound: {
		"No tenant has this id, or it was deleted.",
		"Check the id in the path. An admin creates tenants.",
	},
	fault.AdapterNotFound: {
		"No adapter of this name is installed, or the version that the tenant uses cannot be used on this host, or the adapter was never enabled for the tenant.",
		"Check the name in the path. GET /v1/adapters lists what is installed; its problems, shown to the admin, say why a package is refused.",
	},
	fault.MessageLogNotFound: {
		"The tenant's ledger has no entry with this id.",
		"Check the id. GET the tenant's message-logs to find it, by messageId for example.",
	},
	fault.RouteNotFound: {
		"There is nothing at this path.",
		"Check the path. /openapi.json lists every route.",
	},
	fault.MethodNotAllowed: {
		"The path exists, but does not take this method.",
		"Use one of the methods in the Allow header.",
	},
	fault.OutcomeUnsettled: {
		"An earlier attempt to log these messages may or may not have reached the CRM. Sending them again could log them twice, so the host does not.",
		"Wait, as long as Retry-After says: the host searches the CRM and settles the entry if the adapter can. Else look into the CRM and resolve the entries in messageLogs.",
	},
	fault.InProgress: {
		"Another request is logging these messages right now.",
		"Send the same request again after Retry-After. It is answered with that request's outcome.",
	},
	fault.AlreadyLogged: {
		"The messages are logged. messages names their CRM records.",
		"Nothing is to be done. If the CRM record was deleted, forget the entry first.",
	},
	fault.Conflict: {
		"The resource is in a state that does not allow this: an entry that is queued, forgotten or no longer has its request, the id of a deleted tenant, a tenant with entries that are not settled, a token that the tenant does not have, or an adapter package that cannot be installed as it lies there.",
		"detail says what stands in the way; of a package, errors has every problem with its remedy. Look at the resource and decide anew.",
	},
	fault.CRMRejected: {
		"The CRM refuses the message log, or the adapter knows that it would. No record was made.",
		"Correct what detail names, in the request or in the CRM, and send the request again.",
	},
	fault.CRMUnauthorized: {
		"The CRM does not accept the authHeader of this call. The host's own token is fine.",
		"Renew the user's CRM credentials and send the request again with the new authHeader.",
	},
	fault.RateLimited: {
		"The CRM limits the rate of calls, or the host limits this tenant's; source says which. Nothing was logged.",
		"Send the request again after Retry-After, and more slowly.",
	},
	fault.AdapterFault: {
		"The adapter failed: it crashed, panicked, or answered with nonsense. class says whether the CRM may have acted.",
		"With class unknown, do not repeat blindly: ask for the entries in messageLogs. The operator finds the cause in the host's log and in the adapter's crash reports.",
	},
	fault.NotSupported: {
		"The adapter cannot do what was asked.",
		"Leave out what detail names, or use an adapter version that supports it.",
	},
	fault.AdapterUnavailable: {
		"The adapter's process is not running and will not be in time. The message was surely not sent.",
		"Send the request again after Retry-After. If it stays, GET /v1/adapters/{adapter} shows the admin the cause and its remedy.",
	},
	fault.CRMUnavailable: {
		"The CRM cannot be reached or refuses service for now. The message was surely not sent.",
		"Send the request again after Retry-After.",
	},
	fault.Overloaded: {
		"More calls are waiting than the host takes, or the ledger cannot be written (detail says which). Nothing was sent, and nothing was changed.",
		"Send the request again after Retry-After, and more slowly.",
	},
	fault.ShuttingDown: {
		"The host is stopping and takes no new requests. The message was surely not sent.",
		"Send the request again after Retry-After, to another host if there is one.",
	},
	fault.Outcome: {
		"The answer did not come in time, or the connection to the CRM broke after the message had been sent. It may be logged.",
		"Send the same request again: it is answered with the record if there is one, and never logs twice. Or ask for the entries in messageLogs.",
	},
	fault.PoisonMessage: {
		"The adapter died each time that this message was sent, so it is not sent again. Seen in ledger entries only.",
		"Have the adapter's author look at the crash reports, then retry the entry.",
	},
	fault.Internal: {
		"The host failed in a way that it did not foresee. Whether the CRM has acted is not known.",
		"Tell the operator the requestId: the host's log has the cause. Sending the same messages again never logs them twice.",
	},
}

var problemHTML = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{{.Code}}</title></head>
<body>
<h1>{{.Title}}</h1>
<p><code>{{.Code}}</code>, HTTP status {{.Status}}, usually of class {{.Class}} and from the {{.Source}} side.</p>
<h2>What it means</h2>
<p>{{.Meaning}}</p>
<h2>What to do</h2>
<p>{{.Remedy}}</p>
</body>
</html>
`))

// problemPage explains one code, to a browser as a page, else as JSON.
func (a *API) problemPage(w http.ResponseWriter, r *http.Request) {
	for _, doc := range ProblemDocs() {
		if doc.Code != r.PathValue("code") {
			continue
		}
		w.Header().Set("Vary", "Accept")
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			writeJSON(w, http.StatusOK, typeJSON, doc)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_ = problemHTML.Execute(w, doc) // an error means that the reader has gone
		return
	}
	a.refuse(from(r.Context()), fault.New(fault.RouteNotFound, "there is no such problem code"))
}
