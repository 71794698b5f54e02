package standin

import (
	"time"

	"github.com/go-json-experiment/json"
)

// Durations are JSON options with which durations are text such as "1.5s", and
// unknown members are refused: what a CRM's switches are read and written with.
func Durations() json.Options { return durations }

var durations = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithMarshalers(json.MarshalFunc(func(d time.Duration) ([]byte, error) {
		return json.Marshal(d.String())
	})),
	json.WithUnmarshalers(json.UnmarshalFunc(func(raw []byte, d *time.Duration) error {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		parsed, err := time.ParseDuration(text)
		*d = parsed
		return err
	})),
)
