package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkAddMessageLog is what the edge adds to a call.
func BenchmarkAddMessageLog(b *testing.B) {
	f := setup(b)
	body := bodyRoutes[0].body
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, addPath, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+f.acme)
		r.Header.Set("Content-Type", "application/json")
		f.ServeHTTP(discard{http.Header{}}, r)
		f.relay.calls = f.relay.calls[:0]
	}
}
