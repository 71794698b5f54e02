package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/httpapi"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkAddMessageLog is what the edge adds to a call.
func BenchmarkAddMessageLog(b *testing.B) {
	f := setup(b)
	api, err := httpapi.New(httpapi.Config{}, httpapi.Deps{
		Relay: f.relay, Directory: f.directory, Catalog: f.catalog, Ledger: f.ledger, Processes: f.processes, Installer: f.installer,
	})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, addPath, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+f.acme)
	r.Header.Set("Content-Type", "application/json")
	body := strings.NewReader(bodyRoutes[0].body)
	r.ContentLength = body.Size()
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(bodyRoutes[0].body)
		r.Body = io.NopCloser(body)
		api.ServeHTTP(discard{http.Header{}}, r)
		f.relay.calls = f.relay.calls[:0]
	}
}
