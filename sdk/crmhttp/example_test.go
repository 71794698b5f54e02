package crmhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// crm is a CRM that answers every request with that status, header and body.
func crm(status int, location, body string) (client *crmhttp.Client, done func()) {
	return crmOf(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// crmOf is a CRM that answers as the handler does, with errors as
// {"error":"..."}.
func crmOf(answer http.HandlerFunc) (client *crmhttp.Client, done func()) {
	srv := httptest.NewServer(answer)
	client, err := crmhttp.New(crmhttp.Config{
		BaseURL: srv.URL, AllowPrivate: []string{"127.0.0.1"},
		ErrorMessage: func(resp *crmhttp.Response) string {
			var e struct{ Error string }
			_ = json.Unmarshal(resp.Body, &e) // another form: no words
			return e.Error
		},
	})
	if err != nil {
		panic(err)
	}
	return client, func() { client.Close(); srv.Close() }
}

// request is what an adapter got.
func request() *sdk.AddMessageLogRequest {
	return &sdk.AddMessageLogRequest{AuthHeader: sdk.NewSecret("Bearer x"), NotAfter: time.Now().Add(time.Minute)}
}

func ExampleNew() {
	// In an adapter the host's word counts: crmhttp.FromEnv("EXAMPLECRM").
	client, err := crmhttp.New(crmhttp.Config{Egress: []string{"*.crm.example"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	req := request()
	req.User.Hostname = "evil.example"
	fmt.Println(client.For(req).GetJSON(context.Background(), "/me", nil, nil))
	// Output:
	// crm_rejected: GET /me: the CRM host is not one that this adapter may call by run.egress of its manifest
}

func ExampleFromEnv() {
	client, err := crmhttp.New(crmhttp.FromEnv("EXAMPLECRM"))
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Close()
	// Output:
}

func ExampleSession_PostJSON() {
	client, done := crm(http.StatusCreated, "", `{"id": 5512}`)
	defer done()
	var out struct {
		ID json.Number `json:"id"`
	}
	err := client.For(request()).PostJSON(context.Background(), "/activities", map[string]any{"note": "hello"}, &out)
	fmt.Println(out.ID, err)
	// Output:
	// 5512 <nil>
}

func ExampleSession_PostJSON_refused() {
	client, done := crm(http.StatusUnprocessableEntity, "", `{"error": "the deal is closed"}`)
	defer done()
	err := client.For(request()).PostJSON(context.Background(), "/activities", nil, nil)
	fmt.Println(err)
	fmt.Println(fault.ClassOf(err), crmhttp.StatusOf(err))
	// Output:
	// crm_rejected: POST /activities: the CRM answered 422 Unprocessable Entity: the deal is closed
	// permanent 422
}

func ExampleSession_GetJSON() {
	client, done := crm(http.StatusOK, "", `{"name": "Ada"}`)
	defer done()
	var person struct{ Name string }
	err := client.For(request()).GetJSON(context.Background(), crmhttp.Path("/persons/{id}", 7), url.Values{"fields": {"name"}}, &person)
	fmt.Println(person.Name, err)
	// Output:
	// Ada <nil>
}

func ExampleSession_Do() {
	client, done := crm(http.StatusNoContent, "/record/v1/phonecall/77", "")
	defer done()
	resp, err := client.For(request()).Do(context.Background(), crmhttp.Request{
		Method: http.MethodPost, Path: "/record/v1/phonecall", JSON: map[string]any{"title": "SMS"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(path.Base(resp.Header.Get("Location")))
	// Output:
	// 77
}

func ExamplePath() {
	fmt.Println(crmhttp.Path("/persons/{id}/notes", "a/b"))
	// Output:
	// /persons/a%2Fb/notes
}
