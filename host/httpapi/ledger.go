package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Entry is a ledger entry as callers see it.
type Entry struct {
	ID            string                  `json:"id" doc:"A ULID."`
	State         string                  `json:"state" enum:"in_flight,queued,unknown,logged,failed"`
	Adapter       AdapterRef              `json:"adapter" doc:"With the version of the newest attempt."`
	User          UserRef                 `json:"user"`
	Contact       ContactRef              `json:"contact"`
	LogID         *string                 `json:"logId" doc:"The CRM record; null unless logged."`
	LogURL        *string                 `json:"logUrl"`
	Messages      []MessageRef            `json:"messages" doc:"Oldest first."`
	Attempts      int                     `json:"attempts"`
	CreatedAt     time.Time               `json:"createdAt"`
	UpdatedAt     time.Time               `json:"updatedAt"`
	NextAttemptAt *time.Time              `json:"nextAttemptAt" doc:"When a queued entry is sent again."`
	SettlesAt     *time.Time              `json:"settlesAt,omitempty" doc:"Of an unknown entry: from then on \"not found\" is believed."`
	ForgottenAt   *time.Time              `json:"forgottenAt,omitempty"`
	StrayIDs      []string                `json:"strayIds,omitempty" doc:"CRM records of the same messages beside logId: duplicates to look at."`
	Vanished      bool                    `json:"vanished,omitempty" doc:"Whether the CRM record was gone when it was looked for again."`
	ReturnMessage nullable[ReturnMessage] `json:"returnMessage" doc:"The adapter's text for the user."`
	Problem       nullable[EntryProblem]  `json:"problem" doc:"Why it is not logged."`
	Reconcile     nullable[Reconcile]     `json:"reconcile" doc:"The newest search of the CRM."`
}

// MessageRef names a message.
type MessageRef struct {
	ID string `json:"id" doc:"As text."`
}

// UserRef names a user.
type UserRef struct {
	ID string `json:"id" doc:"Empty when the request named none."`
}

// ContactRef names a contact of a CRM account.
type ContactRef struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Account string `json:"account" doc:"Host name of the CRM account; empty when the request named none."`
}

// EntryProblem is why an entry is not logged.
type EntryProblem struct {
	Code   string `json:"code"`
	Class  string `json:"class" enum:"unknown,retryable,permanent"`
	Source string `json:"source" enum:"caller,host,adapter,crm"`
	Detail string `json:"detail"`
}

// Reconcile says what a search of the CRM found.
type Reconcile struct {
	LastAt  time.Time `json:"lastAt"`
	Verdict string    `json:"verdict"`
}

type entriesInput struct {
	TenantPath
	PageInput
	Adapter     string    `query:"adapter" doc:"Only this adapter's."`
	State       string    `query:"state" doc:"Only these states, separated by commas: in_flight, queued, unknown, logged, failed."`
	Contact     string    `query:"contact" doc:"Only those of the contact with this id."`
	ContactType string    `query:"contactType" doc:"Only those of contacts of this type."`
	MessageID   string    `query:"messageId" doc:"Only those with this message."`
	User        string    `query:"user" doc:"Only this user's."`
	Since       timeParam `query:"since" doc:"Only those created then or later, RFC 3339."`
	Until       timeParam `query:"until" doc:"Only those created before, RFC 3339."`
}

type entriesOutput struct{ Body page[Entry] }

func (a *API) ledgerRoutes() {
	register(a, route{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/message-logs",
		id: "listMessageLogs", tag: "Message logs", summary: "The ledger, newest first",
		right: ownTenant, status: http.StatusOK, codes: []fault.Code{fault.TenantNotFound},
	}, a.listMessageLogs)
	register(a, route{
		method: http.MethodGet, path: "/v1/tenants/{tenant}/message-logs/{id}",
		id: "getMessageLog", tag: "Message logs", summary: "One entry of the ledger",
		right: ownTenant, status: http.StatusOK, codes: []fault.Code{fault.TenantNotFound, fault.MessageLogNotFound},
	}, a.getMessageLog)
}

func (a *API) listMessageLogs(ctx context.Context, rq *request, in *entriesInput) (*entriesOutput, error) {
	q, err := in.selection(rq)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there is another page
	entries, err := a.deps.Ledger.Entries(ctx, q)
	if err != nil {
		return nil, ledgerError("list message logs", err)
	}
	if len(entries) == 0 {
		// A deleted tenant's ledger can still be read.
		if _, err := a.deps.Directory.Tenant(in.Tenant); err != nil {
			return nil, err
		}
	}
	next := ""
	if len(entries) > limit {
		entries = entries[:limit]
		next = entries[limit-1].ID
	}
	items := make([]Entry, len(entries))
	for i, e := range entries {
		items[i] = viewEntry(e)
	}
	return &entriesOutput{newPage(items, next)}, nil
}

// selection reads the filters.
func (in *entriesInput) selection(rq *request) (store.Query, error) {
	var faults strictjson.Faults
	before, limit := in.read(&faults)
	if _, err := ulid.ParseStrict(before); before != "" && err != nil {
		faults.AddAt("?cursor", strictjson.CodeInvalid, "must be the nextCursor of the page before")
	}
	q := store.Query{
		Tenant: in.Tenant, Adapter: in.Adapter, ContactID: in.Contact, MessageID: in.MessageID, UserID: in.User,
		Since: moment(&faults, "?since", in.Since), Until: moment(&faults, "?until", in.Until),
		Before: before, Limit: limit,
	}
	if query := rq.http.URL.Query(); query.Has("contactType") {
		contactType := query.Get("contactType")
		q.ContactType = &contactType
	}
	if in.State != "" {
		for name := range strings.SplitSeq(in.State, ",") {
			if !slices.Contains(ledger.States(), ledger.State(name)) {
				faults.AddAt("?state", strictjson.CodeInvalid,
					"must be in_flight, queued, unknown, logged or failed, or several of them separated by commas")
				break
			}
			q.States = append(q.States, ledger.State(name))
		}
	}
	for name, text := range map[string]string{
		"?adapter": in.Adapter, "?contact": in.Contact, "?messageId": in.MessageID, "?user": in.User,
	} {
		if len(text) > sdk.MaxIDBytes || strings.ContainsRune(text, 0) {
			faults.AddAt(name, strictjson.CodeInvalid, "must be at most %d bytes of text", sdk.MaxIDBytes)
		}
	}
	slices.SortFunc(faults, func(a, b strictjson.Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
	return q, invalid(faults)
}

func moment(faults *strictjson.Faults, at string, text timeParam) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		faults.AddAt(at, strictjson.CodeInvalid, "must be a time as 2006-01-02T15:04:05Z")
	}
	return t
}

func (a *API) getMessageLog(ctx context.Context, _ *request, in *EntryPath) (*entryOutput, error) {
	e, err := a.deps.Ledger.Entry(ctx, in.Tenant, in.ID)
	if errors.Is(err, store.ErrNotFound) {
		if _, err := a.deps.Directory.Tenant(in.Tenant); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.MessageLogNotFound, "")
	}
	if err != nil {
		return nil, ledgerError("read message log", err)
	}
	return &entryOutput{viewEntry(e)}, nil
}

// ledgerError is a ledger that cannot be read. Nothing was changed.
func ledgerError(doing string, err error) error {
	return &fault.Error{
		Op: "httpapi", Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second,
		Msg: "the ledger cannot be read", Err: fmt.Errorf("%s: %w", doing, err),
	}
}

// viewEntry shows an entry.
func viewEntry(e ledger.Entry) Entry {
	out := Entry{
		ID: e.ID, State: string(e.State), Adapter: AdapterRef{e.Adapter, e.Version},
		User: UserRef{e.UserID}, Contact: ContactRef{e.ContactID, e.ContactType, e.Account},
		LogID: textOrNull(e.LogID), LogURL: textOrNull(e.LogURL), Messages: []MessageRef{}, Attempts: e.Attempts,
		CreatedAt: e.CreatedAt.UTC(), UpdatedAt: e.UpdatedAt.UTC(), ForgottenAt: timeOrNull(e.ForgottenAt),
		StrayIDs: e.StrayIDs, Vanished: e.Vanished, ReturnMessage: returnMessage(e.Return),
	}
	for _, id := range e.Messages {
		out.Messages = append(out.Messages, MessageRef{id})
	}
	switch e.State {
	case ledger.Queued:
		out.NextAttemptAt = timeOrNull(e.NextAt)
	case ledger.Unknown:
		out.SettlesAt = timeOrNull(e.UnsettledUntil)
	}
	if p := e.Problem; p != nil {
		out.Problem.v = &EntryProblem{string(p.Code), p.Class.String(), string(p.Source), p.Detail}
	}
	if !e.ReconciledAt.IsZero() {
		out.Reconcile.v = &Reconcile{e.ReconciledAt.UTC(), e.Verdict}
	}
	return out
}
