package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/render"
)

// What cardfile takes.
const (
	maxTitle = 200   // characters, on one line
	maxBody  = 8_000 // characters
	// whenLayout is how a time is written: UTC, and whole seconds.
	whenLayout = "2006-01-02T15:04:05Z"
)

// Adapter logs messages as cards of cardfile. One Adapter serves all calls of the
// process, many at once, and all tenants: what belongs to a call, its credentials
// above all, comes with the request and is kept nowhere.
type Adapter struct{ crm *crmhttp.Client }

// New returns the adapter as its environment configures it: CARDFILE_BASE_URL, and
// what the host says of egress. It makes no request. A faulty configuration gives
// an adapter that reports the fault as its health.
func New() sdk.Adapter {
	config := crmhttp.FromEnv("CARDFILE")
	config.ErrorMessage = errorMessage
	config.RetryAfter = crmhttp.SecondsHeader("X-Wait-Seconds")
	crm, err := crmhttp.New(config)
	if err != nil {
		return sdk.Misconfigured(err)
	}
	return &Adapter{crm}
}

// AddMessageLog makes one card of the request's message, or of its group of
// messages, and then puts it into the folder of the custom field. Once the card
// exists the call has succeeded: what becomes of the second step is a warning for
// the user, for as a fault it would leave the call in doubt.
func (a *Adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	session := a.crm.For(req)
	id, err := createCard(ctx, session, req)
	if err != nil {
		return nil, err // classed: may the host try again?
	}
	logged := sdk.Logged(id)
	folder := req.Field("folder").String()
	if folder == "" {
		return logged, nil
	}
	err = session.PutJSON(ctx, crmhttp.Path("/api/cards/{id}/folder", id), map[string]string{"folder": folder}, nil)
	if err != nil {
		slog.WarnContext(ctx, "card not filed", "status", crmhttp.StatusOf(err), "error", err)
		logged.ReturnMessage = &sdk.ReturnMessage{
			Message:     "The card was made, but it could not be put into its folder.",
			MessageType: sdk.Warning,
		}
	}
	return logged, nil
}

// createCard makes the card and returns its ID, which cardfile answers in the
// Location header alone.
func createCard(ctx context.Context, session *crmhttp.Session, req *sdk.AddMessageLogRequest) (string, error) {
	title := render.Subject(req)
	if prefix := oneLine(req.Setting("titlePrefix").String()); prefix != "" {
		title = prefix + " " + title
	}
	form := url.Values{
		"contact": {req.ContactInfo.ID.String()},
		"title":   {cut(title, maxTitle)},
		"body":    {render.TextWith(req, render.Options{MaxLen: maxBody})},
		"ref":     {req.IdempotencyKey}, // FindMessageLog looks for it
		"when":    {req.Messages[0].CreationTime.UTC().Format(whenLayout)},
	}
	resp, err := session.Do(ctx, crmhttp.Request{
		Method:      http.MethodPost,
		Path:        "/api/cards",
		Body:        []byte(form.Encode()),
		ContentType: "application/x-www-form-urlencoded",
	})
	if err != nil {
		return "", err
	}
	id, err := cardID(resp.Header.Get("Location"))
	if err != nil {
		return "", fault.OutcomeUnknown(fmt.Errorf("the CRM took the card with status %d: %w", resp.Status, err))
	}
	return id, nil
}

// cardID takes a card's ID out of its address, whatever stands before /api.
func cardID(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", errors.New("the address of the card cannot be read")
	}
	dir, id := path.Split(u.Path)
	if !strings.HasSuffix(dir, "/api/cards/") {
		return "", errors.New("the answer has no address of a card")
	}
	if _, err := strconv.ParseUint(id, 10, 64); err != nil {
		return "", errors.New("the address of the card ends in no number")
	}
	return id, nil
}

// maxPages bounds a search. More cards of one key than fit are no reason to go on:
// a person must look.
const maxPages = 20

// FindMessageLog looks for the cards that AddMessageLog made for an earlier request
// whose outcome is not known. "Not found" makes the host send again, so it is
// answered only when cardfile has shown every page; all else is "cannot tell".
func (a *Adapter) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	asOf := time.Now() // before the search: it says nothing about what is stored later
	session := a.crm.For(req)
	var ids []string
	for page := 1; page <= maxPages; page++ {
		found, more, err := search(ctx, session, req.IdempotencyKey, page)
		if err != nil {
			slog.WarnContext(ctx, "search gave no answer", "page", page, "error", err)
			return sdk.CannotTell(fault.RetryAfterOf(err)), nil
		}
		ids = append(ids, found...)
		if more {
			continue
		}
		if len(ids) == 0 {
			return sdk.NotFound(asOf), nil
		}
		return sdk.Found(ids...), nil // cardfile lists the oldest first
	}
	return sdk.CannotTell(0), nil
}

// search returns one page of the cards with the key, and whether there are more
// pages.
func search(ctx context.Context, session *crmhttp.Session, key string, number int) (ids []string, more bool, err error) {
	query := url.Values{"ref": {key}, "page": {strconv.Itoa(number)}}
	var page struct {
		Cards []struct {
			ID  *int64  `json:"id"`
			Ref *string `json:"ref"`
		} `json:"cards"`
		More *bool `json:"more"`
	}
	if err := session.GetJSON(ctx, "/api/cards", query, &page); err != nil {
		return nil, false, err
	}
	// Other JSON, as a proxy may send, must not read as "none".
	if page.Cards == nil || page.More == nil {
		return nil, false, errors.New("the CRM answered with something else than a page of cards")
	}
	for _, card := range page.Cards {
		switch {
		case card.ID == nil || card.Ref == nil:
			return nil, false, errors.New("the CRM answered with something else than a card")
		case *card.Ref == key: // cardfile finds the text anywhere in a ref
			ids = append(ids, strconv.FormatInt(*card.ID, 10))
		}
	}
	return ids, *page.More, nil
}

// CheckHealth says whether this process can serve. It does not ask the CRM: a CRM
// that is down makes single calls fail, and another process would not help.
func (a *Adapter) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}

// errorMessage takes the reason out of a refusal, which cardfile writes as one line
// of text. A page of HTML is from somebody else.
func errorMessage(resp *crmhttp.Response) string {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/plain" {
		return ""
	}
	return string(resp.Body)
}

// oneLine returns the text without control characters and without space around it.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// cut returns at most limit characters of the text.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
