package crmhttp_test

import (
	"context"
	"net/http"
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
