package crmhttp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/render"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// cards is an adapter for a CRM whose cards are made by a form, answered with
// their address alone, and put into their folder by a second request.
type cards struct{ crm *crmhttp.Client }

func (a cards) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	session := a.crm.For(req)
	form := url.Values{"title": {render.Subject(req)}, "body": {render.Text(req)}, "ref": {req.IdempotencyKey}}
	resp, err := session.Do(ctx, crmhttp.Request{
		Method: http.MethodPost, Path: "/cards",
		Body: []byte(form.Encode()), ContentType: "application/x-www-form-urlencoded",
	})
	if err != nil {
		return nil, err // there is no card, or nobody knows: the class says which
	}
	id := path.Base(resp.Header.Get("Location"))
	if id == "." || id == "/" {
		return nil, fault.OutcomeUnknown(errors.New("the CRM made a card and did not say which"))
	}
	logged := sdk.Logged(id) // from here on, whatever happens
	folder := req.Field("folder").String()
	if err := session.PutJSON(ctx, crmhttp.Path("/cards/{id}/folder", id), map[string]string{"folder": folder}, nil); err != nil {
		slog.WarnContext(ctx, "card not filed", "error", err)
		logged.ReturnMessage = &sdk.ReturnMessage{
			Message: "The card was made, but it is not in its folder.", MessageType: sdk.Warning,
		}
	}
	return logged, nil
}

// plainText takes a refusal's reason from a CRM that gives it as plain text. A page
// of HTML is a proxy's.
func plainText(resp *crmhttp.Response) string {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/plain" {
		return ""
	}
	return string(resp.Body)
}

// A create in two steps, by form and with a Location header. The second step is
// refused; the answer is the card's ID all the same, with a warning.
func ExampleSession_Do_twoSteps() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cards", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("card:", r.PostFormValue("title"))
		w.Header().Set("Location", "/cards/77")
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("PUT /cards/77/folder", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such folder", http.StatusNotFound)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	client, err := crmhttp.New(crmhttp.Config{BaseURL: server.URL, AllowPrivate: []string{"127.0.0.1"}, ErrorMessage: plainText})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	req := sdktest.Request()
	req.AdditionalSubmission = sdk.Values{"folder": sdk.TextValue("Nowhere")}
	resp, err := cards{client}.AddMessageLog(context.Background(), req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("log ID:", resp.LogID)
	fmt.Println(resp.ReturnMessage.MessageType+":", resp.ReturnMessage.Message)
	// Output:
	// card: SMS to Ada Lovelace
	// log ID: 77
	// warning: The card was made, but it is not in its folder.
}
