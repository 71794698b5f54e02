// Package examplecrm is the adapter to copy. It logs messages into the example
// CRM (plugins/examplecrm/server), a small real one, and uses what an adapter can
// use: custom fields, settings, a search for earlier records, a health check.
//
// Read it from top to bottom. Only AddMessageLog is needed; the smallest useful
// adapter stands in smallest_test.go. What is left to the SDK is what decides
// whether a message can be lost or logged twice: sdk/crmhttp keeps the send
// window, classes every failure, and keeps secrets out of errors; sdk/render
// escapes what strangers wrote; sdk/serve speaks with the host.
package examplecrm

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/render"
)

// envFind is one of the variables of the manifest's run.env, whose values come from
// the host's configuration: "on" (default) or "off". crmhttp reads
// EXAMPLECRM_BASE_URL, and main EXAMPLECRM_LOG_LEVEL.
const envFind = "EXAMPLECRM_FIND"

// Adapter logs messages as activities. One Adapter serves all calls of the
// process, and all tenants: what belongs to a call, its credentials above all,
// comes with the request and is kept nowhere.
type Adapter struct{ crm *crmhttp.Client }

// New returns the adapter as its environment configures it. It makes no request.
// A faulty configuration gives an adapter that reports the fault as its health.
func New() sdk.Adapter {
	config := crmhttp.FromEnv("EXAMPLECRM")
	config.ErrorMessage = errorMessage
	crm, err := crmhttp.New(config)
	if err != nil {
		return sdk.Misconfigured(err)
	}
	a := &Adapter{crm}
	switch find := os.Getenv(envFind); find {
	case "", "on":
		return a
	case "off":
		return blind{a, a}
	default:
		return sdk.Misconfigured(errors.New(envFind + ` must be "on" or "off"`))
	}
}

// Close lets go of the connections to the CRM. A process that ends has no need of
// it; tests have.
func (a *Adapter) Close() { a.crm.Close() }

// activity is what the CRM takes. See server.Draft.
type activity struct {
	ContactID      string    `json:"contactId"`
	ContactType    string    `json:"contactType,omitempty"`
	Subject        string    `json:"subject"`
	Note           string    `json:"note"`
	MessageIDs     []string  `json:"messageIds"`
	ExternalID     string    `json:"externalId"`
	AssociatedDeal string    `json:"associatedDeal,omitempty"`
	Address        string    `json:"address,omitempty"`
	Channel        string    `json:"channel,omitempty"`
	Owner          string    `json:"owner,omitempty"`
	OccurredAt     time.Time `json:"occurredAt"`
}

// AddMessageLog creates one activity for the request's message, or for its group
// of messages.
func (a *Adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	var created struct {
		ID json.Number `json:"id"` // a number whose digits stay as they are
	}
	err := a.crm.For(req).PostJSON(ctx, "/activities", newActivity(req), &created)
	if err != nil {
		return nil, err // crmhttp has classed it: may the host try again?
	}
	slog.DebugContext(ctx, "activity created", "messages", len(req.Messages))
	return sdk.Logged(created.ID.String()), nil
}

// newActivity maps a request to the CRM's terms.
func newActivity(req *sdk.AddMessageLogRequest) activity {
	out := activity{
		ContactID:   req.ContactInfo.ID.String(),
		ContactType: req.ContactInfo.Type,
		Subject:     render.Subject(req),
		Note:        render.HTML(req),
		ExternalID:  req.IdempotencyKey, // FindMessageLog looks for it
		Owner:       req.User.ID.String(),
		OccurredAt:  req.Messages[0].CreationTime, // messages come oldest first
		// The manifest's custom fields; the host has checked them.
		AssociatedDeal: req.Field("associatedDeal").String(),
		Address:        req.Field("address").String(),
		Channel:        req.Field("channel").String(),
	}
	for _, m := range req.Messages {
		out.MessageIDs = append(out.MessageIDs, m.ID.String())
	}
	// The manifest's settings.
	if prefix := req.Setting("subjectPrefix").String(); prefix != "" {
		out.Subject = prefix + " " + out.Subject
	}
	if signature := req.Setting("signature").String(); signature != "" {
		out.Note += "<p>" + html.EscapeString(signature) + "</p>" // text becomes HTML
	}
	return out
}

// The bounds of a search. More activities with one key than that are no reason to
// go on: a person must look.
const (
	pageSize = "200"
	maxPages = 20
)

// FindMessageLog looks for the activities that AddMessageLog made for an earlier
// request whose outcome is not known. "Not found" makes the host send again, so it
// is answered only when the CRM has shown every page and none was left out;
// everything else is "cannot tell".
func (a *Adapter) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	asOf := time.Now() // before the search: it says nothing about what is stored later
	var ids []string
	for cursor, page := "", 0; page < maxPages; page++ {
		found, next, err := a.searchPage(ctx, req, cursor)
		if err != nil {
			slog.WarnContext(ctx, "search was cut short", "error", err, "found", len(ids))
			return soFar(ids, fault.RetryAfterOf(err)), nil
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
	return soFar(ids, 0), nil
}

// soFar is the answer of a search that did not reach the last page: what it has
// found is true, and may not be all.
func soFar(ids []string, wait time.Duration) *sdk.FindMessageLogResponse {
	if len(ids) == 0 {
		return sdk.CannotTell(wait)
	}
	found := sdk.Found(ids...)
	found.Complete = false
	return found
}

// searchPage returns one page of the search for the request's key, and the cursor
// of the next one; empty on the last.
func (a *Adapter) searchPage(ctx context.Context, req *sdk.FindMessageLogRequest, cursor string) (ids []string, next string, err error) {
	query := url.Values{"externalId": {req.IdempotencyKey}, "limit": {pageSize}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var page struct {
		Items []struct {
			ID         json.Number `json:"id"`
			ExternalID string      `json:"externalId"`
		} `json:"items"`
		NextCursor *string `json:"nextCursor"`
	}
	if err := a.crm.For(req).GetJSON(ctx, "/activities", query, &page); err != nil {
		return nil, "", err
	}
	// JSON that is not a page, as a proxy may send, must not read as "none".
	if page.Items == nil || page.NextCursor == nil {
		return nil, "", errors.New("the CRM answered with something else than a page")
	}
	for _, item := range page.Items {
		if item.ExternalID != req.IdempotencyKey || item.ID == "" {
			return nil, "", errors.New("the CRM answered with an activity that was not looked for")
		}
		ids = append(ids, item.ID.String())
	}
	return ids, *page.NextCursor, nil
}

// CheckHealth answers whether this process can serve. It does not ask the CRM: a
// CRM that is down makes single calls fail, and restarting the adapter would not
// help it.
func (a *Adapter) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}

// errorMessage takes from a failed request's body what helps the user.
func errorMessage(resp *crmhttp.Response) string {
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(resp.Body, &answer) != nil {
		return ""
	}
	return strings.TrimSpace(answer.Error.Message)
}

// blind is the adapter without FindMessageLog, for trying out what a host does
// then: only the methods of the two interfaces remain.
type blind struct {
	sdk.Adapter
	sdk.HealthChecker
}
