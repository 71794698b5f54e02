package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/relay"
)

// The parameters that several routes share. They are exported because huma looks
// into exported embedded types only.
type (
	// TenantPath names the tenant in the path.
	TenantPath struct {
		Tenant string `path:"tenant" doc:"The tenant's id." pattern:"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"`
	}

	// AdapterPath names the adapter in the path.
	AdapterPath struct {
		Adapter string `path:"adapter" doc:"The adapter's name." pattern:"^[a-z][a-z0-9-]{0,39}$"`
	}

	// WaitHeader documents Prefer; waitOf reads it.
	WaitHeader struct {
		Prefer string `header:"Prefer" doc:"wait=N: answer within N seconds, at most the host's own limit. Default: the adapter's call timeout. respond-async is not honoured in this version."`
	}

	// EntryPath names a ledger entry in the path.
	EntryPath struct {
		TenantPath
		ID string `path:"id" doc:"The ledger entry's id, a ULID."`
	}
)

// addInput are the parameters of addMessageLog.
type addInput struct {
	TenantPath
	AdapterPath
	WaitHeader
}

// MessageLog is the answer to addMessageLog: it speaks of the entry created now,
// else of the newest message's.
type MessageLog struct {
	MessageLogID  string                  `json:"messageLogId" doc:"The ledger entry."`
	LogID         string                  `json:"logId" doc:"The ID of the entry created within the CRM."`
	State         string                  `json:"state" enum:"logged"`
	Duplicate     bool                    `json:"duplicate" doc:"Whether every message had been logged before."`
	LogURL        *string                 `json:"logUrl" doc:"A page on which a person sees the CRM record."`
	ReturnMessage nullable[ReturnMessage] `json:"returnMessage" doc:"The adapter's text for the user."`
	Adapter       AdapterRef              `json:"adapter"`
	Messages      []LoggedMessage         `json:"messages" doc:"In the order of the request."`
}

// ReturnMessage is the adapter's text for the user.
type ReturnMessage struct {
	Message     string `json:"message"`
	MessageType string `json:"messageType" enum:"success,warning,danger"`
	TTLMillis   int64  `json:"ttl" doc:"How long to show it, in milliseconds; 0 leaves that to the client."`
}

// AdapterRef names a version of an adapter.
type AdapterRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// LoggedMessage is one message of an answer.
type LoggedMessage struct {
	ID           string `json:"id" doc:"The message's id, as text."`
	State        string `json:"state" enum:"in_flight,queued,unknown,logged,failed"`
	Duplicate    bool   `json:"duplicate" doc:"Whether an earlier request logged it."`
	LogID        string `json:"logId"`
	MessageLogID string `json:"messageLogId"`
}

// addOutput answers addMessageLog and retry.
type addOutput struct {
	Status            int
	Location          string `header:"Location" doc:"The ledger entry, when a CRM record was created now."`
	PreferenceApplied string `header:"Preference-Applied" doc:"The wait that was applied, when one was asked for."`
	Body              MessageLog
}

func (a *API) messageLogRoutes() {
	register(a, route{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/adapters/{adapter}/message-logs",
		id: "addMessageLog", tag: "Message logs", summary: "Log a message, or a group of one conversation, in the CRM",
		detail: "201 when a CRM record was created now, 200 when every message had been logged before. " +
			"Sending the same messages again is always safe: each is logged once.",
		right: ownTenant, body: jsonBody, bodyType: addBody{}, status: http.StatusCreated, also: []int{http.StatusOK},
		codes: sendCodes,
	}, a.addMessageLog)
	register(a, route{
		method: http.MethodPost, path: "/v1/tenants/{tenant}/message-logs/{id}/retry",
		id: "retryMessageLog", tag: "Message logs", summary: "Send a failed entry again",
		detail: "Answers as addMessageLog does.",
		right:  ownTenant, body: optionalBody, bodyType: retryBody{}, status: http.StatusCreated, also: []int{http.StatusOK},
		codes: slices.Concat(sendCodes, settleCodes),
	}, a.retryMessageLog)
	a.settleRoutes()
	a.ledgerRoutes()
}

// addMessageLog is the hot path: nothing here asks a database.
func (a *API) addMessageLog(ctx context.Context, rq *request, in *addInput) (*addOutput, error) {
	wait, applied := waitOf(rq.http.Header, a.cfg.MaxWait)
	done := a.metrics.call()
	res, err := a.deps.Relay.AddMessageLog(ctx, relay.Call{
		Tenant: in.Tenant, Adapter: in.Adapter, Body: rq.body, Wait: wait, RequestID: rq.id,
	})
	done(in.Adapter, err)
	if err != nil {
		return nil, err
	}
	return answer(in.Tenant, res, applied), nil
}

// answer shows the result of a call.
func answer(tenant string, res *relay.Result, applied string) *addOutput {
	e := &res.Entry
	out := &addOutput{Status: http.StatusOK, PreferenceApplied: applied, Body: MessageLog{
		MessageLogID: e.ID, LogID: e.LogID, State: string(e.State), Duplicate: !res.Created,
		LogURL: textOrNull(e.LogURL), ReturnMessage: returnMessage(e.Return),
		Adapter:  AdapterRef{Name: e.Adapter, Version: e.Version},
		Messages: make([]LoggedMessage, len(res.Messages)),
	}}
	for i, m := range res.Messages {
		out.Body.Messages[i] = LoggedMessage{m.ID, string(m.State), m.Duplicate, m.LogID, m.EntryID}
	}
	if res.Created {
		out.Status, out.Location = http.StatusCreated, messageLogPath(tenant, e.ID)
	}
	return out
}

// messageLogPath returns where an entry is found. Both parts are plain: a tenant's
// id and a ULID.
func messageLogPath(tenant, id string) string {
	return "/v1/tenants/" + tenant + "/message-logs/" + id
}

func returnMessage(m *ledger.ReturnMessage) nullable[ReturnMessage] {
	if m == nil {
		return nullable[ReturnMessage]{}
	}
	return nullable[ReturnMessage]{&ReturnMessage{m.Message, m.MessageType, m.TTLMillis}}
}

// textOrNull returns nil for empty text.
func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// timeOrNull returns nil for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
