package relay

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/sdk"
)

// BenchmarkAddMessageLog is what the relay itself costs: the store is in memory,
// and the adapter is a function that answers at once.
func BenchmarkAddMessageLog(b *testing.B) {
	m, err := manifest.Parse([]byte(testManifest))
	if err != nil {
		b.Fatal(err)
	}
	still := &stillness{route: &Route{Tenant: "t1", Adapter: "acme", Version: "1.0.0", Enabled: true, Manifest: m}}
	r, err := New(Config{}, Deps{
		Store: memory.New(nil), Routes: still, Adapters: still, Sealer: still, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("Your flight leaves at ten past eight. ", 50)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		body := fmt.Appendf(nil, `{"user":{"id":"42","hostname":"x.acme.example"},"contactInfo":{"id":7,"type":"person"},
			"authHeader":"Bearer good","message":{"id":%d,"creationTime":"2026-01-02T03:04:05Z","type":"SMS","subject":%q}}`, n, text)
		if _, err := r.AddMessageLog(context.Background(), Call{Tenant: "t1", Adapter: "acme", Body: body, RequestID: "r1"}); err != nil {
			b.Fatal(err)
		}
	}
}

// stillness is a relay's neighbours that do next to nothing.
type stillness struct{ route *Route }

func (s *stillness) Route(string, string) (*Route, error)             { return s.route, nil }
func (s *stillness) Seal(plaintext, _ []byte) ([]byte, error)         { return plaintext, nil }
func (s *stillness) Unseal(ciphertext, _ []byte) ([]byte, error)      { return ciphertext, nil }
func (s *stillness) Acquire(context.Context, Target) (Process, error) { return s, nil }
func (s *stillness) CanFind() bool                                    { return true }
func (s *stillness) Done() <-chan struct{}                            { return nil }
func (s *stillness) Condemn(string)                                   {}
func (s *stillness) Release(bool)                                     {}

func (s *stillness) AddMessageLog(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return sdk.Logged("R1"), nil
}

func (s *stillness) FindMessageLog(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return sdk.CannotTell(0), nil
}
