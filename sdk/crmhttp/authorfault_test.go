package crmhttp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// adapterFunc is an adapter that is one function.
type adapterFunc func(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)

func (f adapterFunc) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return f(ctx, req)
}

// TestAuthorsFaultAfterWhatTheClientSaw has an adapter that makes one request and
// then refuses with a fault of its own. The host believes it unless the client
// saw a write that the CRM took.
func TestAuthorsFaultAfterWhatTheClientSaw(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		first  func(context.Context, *crmhttp.Session) error
		code   fault.Code
		class  fault.Class
	}{
		"nothing sent": {201, func(context.Context, *crmhttp.Session) error { return nil }, fault.CRMRejected, fault.Permanent},
		"a read": {200, func(ctx context.Context, s *crmhttp.Session) error {
			return s.GetJSON(ctx, "/contacts/7", nil, nil)
		}, fault.CRMRejected, fault.Permanent},
		"a create": {201, func(ctx context.Context, s *crmhttp.Session) error {
			return s.PostJSON(ctx, "/notes", 1, nil)
		}, fault.Outcome, fault.Unknown},
		"a create that the CRM refused": {422, func(ctx context.Context, s *crmhttp.Session) error {
			return s.PostJSON(ctx, "/notes", 1, nil)
		}, fault.CRMRejected, fault.Permanent},
		"a create with a vague answer": {502, func(ctx context.Context, s *crmhttp.Session) error {
			return s.PostJSON(ctx, "/notes", 1, nil)
		}, fault.Outcome, fault.Unknown},
		"a search by POST, undeclared": {200, func(ctx context.Context, s *crmhttp.Session) error {
			return s.PostJSON(ctx, "/contacts/search", 1, nil)
		}, fault.Outcome, fault.Unknown},
		"a search by POST": {200, func(ctx context.Context, s *crmhttp.Session) error {
			return s.QueryJSON(ctx, "/contacts/search", 1, nil)
		}, fault.CRMRejected, fault.Permanent},
		"a search by POST, with Do": {200, func(ctx context.Context, s *crmhttp.Session) error {
			_, err := s.Do(ctx, crmhttp.Request{Method: http.MethodPost, Path: "/contacts/search", JSON: 1, ReadOnly: true})
			return err
		}, fault.CRMRejected, fault.Permanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, done := crm(c.status, "", `{"id":1}`)
			defer done()
			host := sdktest.Pair(t, adapterFunc(func(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				if err := c.first(ctx, client.For(req)); (err != nil) != (c.status >= 300) {
					t.Errorf("the CRM answered %d, the client %v", c.status, err)
				}
				return nil, fault.Rejected("the contact is archived")
			}))
			_, err := host.AddMessageLog(t.Context(), sdktest.Request())
			if fault.CodeOf(err) != c.code || fault.ClassOf(err) != c.class {
				t.Errorf("the host is told %v of class %s, want %s of class %s", err, fault.ClassOf(err), c.code, c.class)
			}
			if c.code == fault.Outcome && fault.SourceOf(err) != fault.Adapter {
				t.Errorf("source %s, want adapter", fault.SourceOf(err))
			}
		})
	}
}

// TestLoggedStandsWhateverFollows has an adapter whose create succeeds and whose
// second write does not. It answers with the record's ID and a warning, and that is
// what the host is told; the second write's fault says what happened once.
func TestLoggedStandsWhateverFollows(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"closed"}`, http.StatusConflict) },
		"unauthorized": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"closed"}`, http.StatusUnauthorized)
		},
		"limited": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"closed"}`, http.StatusTooManyRequests)
		},
		"broken": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"closed"}`, http.StatusBadGateway)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("closed")) },
		"reset":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, done := crmOf(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					second(w, r)
					return
				}
				_, _ = w.Write([]byte(`{"id":77}`))
			})
			defer done()
			host := sdktest.Pair(t, adapterFunc(func(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				var card, folder struct{ ID json.Number }
				if err := client.For(req).PostJSON(ctx, "/cards", 1, &card); err != nil {
					return nil, err
				}
				logged := sdk.Logged(card.ID.String())
				err := client.For(req).PutJSON(ctx, "/cards/77/folder", 1, &folder)
				if fault.ClassOf(err) != fault.Unknown || strings.Count(err.Error(), "PUT /cards") != 1 || strings.Count(err.Error(), "closed") > 1 {
					t.Errorf("the second write failed with %v", err)
				}
				logged.ReturnMessage = &sdk.ReturnMessage{Message: "not filed", MessageType: sdk.Warning}
				return logged, nil
			}))
			resp, err := host.AddMessageLog(t.Context(), sdktest.Request())
			if err != nil || resp.LogID != "77" || resp.ReturnMessage == nil || resp.ReturnMessage.MessageType != sdk.Warning {
				t.Errorf("the host is told %+v, %v", resp, err)
			}
		})
	}
}
