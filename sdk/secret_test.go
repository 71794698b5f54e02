package sdk_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
)

// TestSecretNeverShows prints a secret, alone and inside what holds it, in every
// way that the standard library has.
func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	const text = "marked-4f1e"
	secret := sdk.NewSecret(text)
	req := &sdk.AddMessageLogRequest{AuthHeader: secret}
	find := &sdk.FindMessageLogRequest{Original: req}
	var out bytes.Buffer
	for _, holder := range []any{secret, &secret, req, *req, find, req.CRMCall(), map[string]any{"a": secret}, []sdk.Secret{secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%10.3s", "%w"} {
			_, _ = fmt.Fprintf(&out, verb+"\n", holder)
		}
		_, _ = fmt.Fprintln(&out, holder)
		raw, _ := json.Marshal(holder) // what cannot be written shows nothing
		out.Write(raw)
		raw, _ = xml.Marshal(holder)
		out.Write(raw)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("m", "holder", holder, slog.Group("g", "holder", holder))
		}
	}
	_, _ = fmt.Fprint(&out, secret.String(), secret.GoString(), secret.LogValue())
	all := out.String()
	if strings.Contains(all, text) || strings.Contains(all, fmt.Sprintf("%x", text)) || strings.Contains(all, fmt.Sprintf("%X", text)) {
		t.Errorf("the secret shows:\n%s", all)
	}
	if !strings.Contains(all, "[redacted]") {
		t.Error("nothing is printed in its place")
	}
	if secret.Reveal() != text || secret.IsZero() || !(sdk.Secret{}).IsZero() {
		t.Error("the secret is lost")
	}
}
