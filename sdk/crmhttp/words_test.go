package crmhttp

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// TestWordsThatComeAfterTheHeaders: a refusal is read whole, however many pieces the
// CRM sends it in, and its connection serves the next request.
func TestWordsThatComeAfterTheHeaders(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, status := range []int{http.StatusBadRequest, http.StatusTooManyRequests, http.StatusInternalServerError} {
			t.Run(method+" "+http.StatusText(status), func(t *testing.T) {
				t.Parallel()
				from := make(chan string, 2)
				client := serve(t, func(w http.ResponseWriter, r *http.Request) {
					from <- r.RemoteAddr
					w.WriteHeader(status)
					for _, piece := range []string{"Deal ", "not ", "found"} {
						_ = http.NewResponseController(w).Flush()
						time.Sleep(5 * time.Millisecond) // the pieces are to travel one by one
						_, _ = w.Write([]byte(piece))
					}
				}, func(c *Config) { c.ErrorMessage = func(r *Response) string { return string(r.Body) } })
				for range 2 {
					_, err := client.For(openCall()).Do(t.Context(), Request{Method: method, Path: "/x"})
					if !strings.HasSuffix(fault.MessageOf(err), "Deal not found") {
						t.Errorf("told %q", fault.MessageOf(err))
					}
				}
				if first, second := <-from, <-from; first != second {
					t.Errorf("the connection was given up: %s, then %s", first, second)
				}
			})
		}
	}
}
