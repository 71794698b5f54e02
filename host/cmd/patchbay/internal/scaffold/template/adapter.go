package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/render"
)

// Adapter logs messages as notes of Acme. One Adapter serves all calls of the
// process, many at once, and all tenants: what belongs to a call, its credentials
// above all, comes with the request and is kept nowhere.
type Adapter struct{ crm *crmhttp.Client }

// New returns the adapter as its environment configures it: ACME_BASE_URL, and
// what the host says of egress. It makes no request. A faulty configuration gives
// an adapter that reports the fault as its health.
func New() sdk.Adapter {
	config := crmhttp.FromEnv("ACME")
	config.ErrorMessage = errorMessage
	crm, err := crmhttp.New(config)
	if err != nil {
		return sdk.Misconfigured(err)
	}
	return &Adapter{crm}
}

// note is what the CRM takes.
type note struct {
	ContactID  string    `json:"contactId"`
	Title      string    `json:"title"`
	Body       string    `json:"body"` // HTML
	Project    string    `json:"project,omitempty"`
	OccurredAt time.Time `json:"occurredAt"`
	ExternalID string    `json:"externalId"`
}

// AddMessageLog makes one note of the request's message, or of its group of
// messages.
func (a *Adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	in := note{
		ContactID:  req.ContactInfo.ID.String(),
		Title:      render.Subject(req),
		Body:       render.HTML(req),
		Project:    req.Field("project").String(), // a custom field of the manifest
		OccurredAt: req.Messages[0].CreationTime,  // messages come oldest first
		ExternalID: req.IdempotencyKey,            // FindMessageLog looks for it
	}
	if prefix := req.Setting("titlePrefix").String(); prefix != "" { // a setting of the manifest
		in.Title = prefix + " " + in.Title
	}
	var created struct {
		ID json.Number `json:"id"` // a number whose digits stay as they are
	}
	if err := a.crm.For(req).PostJSON(ctx, "/notes", in, &created); err != nil {
		return nil, err // crmhttp has classed it: may the host try again?
	}
	slog.DebugContext(ctx, "note created", "messages", len(req.Messages))
	return sdk.Logged(created.ID.String()), nil
}

// maxPages bounds a search. More notes of one key than fit are no reason to go on:
// a person must look.
const maxPages = 20

// FindMessageLog looks for the notes that AddMessageLog made for an earlier request
// whose outcome is not known. "Not found" makes the host send again, so it is
// answered only when the CRM has shown every page; all else is "cannot tell".
func (a *Adapter) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	asOf := time.Now() // before the search: it says nothing about what is stored later
	var ids []string
	for cursor, page := "", 0; page < maxPages; page++ {
		found, next, err := a.search(ctx, req, cursor)
		if err != nil {
			slog.WarnContext(ctx, "search gave no answer", "error", err)
			return sdk.CannotTell(fault.RetryAfterOf(err)), nil
		}
		ids = append(ids, found...)
		if cursor = next; cursor != "" {
			continue
		}
		if len(ids) == 0 {
			return sdk.NotFound(asOf), nil
		}
		return sdk.Found(ids...), nil // the CRM lists the oldest first
	}
	return sdk.CannotTell(0), nil
}

// search returns one page of the notes with the request's key, and the cursor of
// the next one, empty on the last.
func (a *Adapter) search(ctx context.Context, req *sdk.FindMessageLogRequest, cursor string) (ids []string, next string, err error) {
	query := url.Values{"externalId": {req.IdempotencyKey}, "cursor": {cursor}}
	var page struct {
		Notes []struct {
			ID         json.Number `json:"id"`
			ExternalID string      `json:"externalId"`
		} `json:"notes"`
		Next *string `json:"next"`
	}
	if err := a.crm.For(req).GetJSON(ctx, "/notes", query, &page); err != nil {
		return nil, "", err
	}
	// Other JSON, as a proxy may send, must not read as "none".
	if page.Notes == nil || page.Next == nil {
		return nil, "", errors.New("the CRM answered with something else than a page of notes")
	}
	for _, n := range page.Notes {
		if n.ExternalID != req.IdempotencyKey || n.ID == "" {
			return nil, "", errors.New("the CRM answered with a note that was not looked for")
		}
		ids = append(ids, n.ID.String())
	}
	return ids, *page.Next, nil
}

// CheckHealth says whether this process can serve. It does not ask the CRM: a CRM
// that is down makes single calls fail, and another process would not help.
func (a *Adapter) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}

// errorMessage takes from the body of a refusal the words that help the user.
func errorMessage(resp *crmhttp.Response) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(resp.Body, &answer) != nil {
		return ""
	}
	return answer.Error
}
