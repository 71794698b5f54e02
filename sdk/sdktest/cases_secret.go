package sdktest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"sync"

	"github.com/patchbay-crm/patchbay/sdk"
)

// marker is a text that stands nowhere but in a secret.
const marker = "sdktest-marked-secret-0d9f"

// secret sends credentials that a CRM may take or refuse, and looks for them
// wherever they must not show: in answers, errors and logs.
func secret(r reporter, e *env) {
	logged := captureLog(r)
	basic := base64.StdEncoding.EncodeToString([]byte(marker + ":"))
	headers := map[string]string{"Bearer": "Bearer " + marker, "Basic": "Basic " + basic, "bare": marker}
	id := int64(1100)
	for form, header := range headers {
		id++
		req := e.with(Message(id, "Psst"))
		req.AuthHeader = sdk.NewSecret(header)
		resp, err := e.add(r, req)
		shown := fmt.Sprintf("%+v %#v %s", resp, resp, logged())
		if resp != nil && resp.ReturnMessage != nil {
			shown += resp.ReturnMessage.Message
		}
		if err != nil {
			shown += err.Error()
		}
		if strings.Contains(shown, marker) || strings.Contains(shown, basic) {
			r.Errorf("the Authorization header of form %q shows in an answer, an error or a log", form)
		}
	}
}

// captureLog takes what slog and log write until the case ends.
func captureLog(r reporter) (text func() string) {
	var out lockedBuffer
	before, output, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	r.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(output) // SetDefault has led the log package to slog
		log.SetFlags(flags)
	})
	return out.String
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
