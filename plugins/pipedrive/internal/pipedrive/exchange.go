package pipedrive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Pipedrive's headers about its limits.
const (
	headerReset = "X-Ratelimit-Reset"                 // seconds until the burst window ends
	headerDaily = "X-Daily-Ratelimit-Token-Remaining" // what is left of the company's day
)

// Waits that Pipedrive does not always tell.
const (
	// burstWindow is the length of the window in which bursts are counted.
	burstWindow = 2 * time.Second
	// dailyWait is the wait when the company's budget of the day is used up and
	// nothing says until when: it begins anew at midnight of a server whose zone
	// is not told. Asked hourly, Pipedrive is found open an hour late at most.
	dailyWait = time.Hour
)

// envelope is what stands around every answer, of v1 and of v2.
type envelope struct {
	Success    bool            `json:"success"`
	Data       json.RawMessage `json:"data"`
	Additional struct {
		NextCursor json.RawMessage `json:"next_cursor"`
	} `json:"additional_data"`
}

// exchange sends one request and decodes the answer's data. The envelope is
// returned for what else it holds. An answer of 200 whose envelope does not say
// success, or that holds something else than data, is no success: after a write it
// leaves the outcome unknown.
func (a *Adapter) exchange(ctx context.Context, call crmhttp.Call, r crmhttp.Request, data any) (envelope, error) {
	resp, err := a.crm.For(call).Do(ctx, r)
	if err != nil {
		return envelope{}, forbidden(limited(err, resp), resp)
	}
	var out envelope
	var problem string
	switch {
	case json.Unmarshal(resp.Body, &out) != nil:
		problem = "something else than its usual JSON"
	case !out.Success:
		problem = "a word of failure"
	case len(out.Data) == 0 || string(out.Data) == "null":
		problem = "no data"
	case json.Unmarshal(out.Data, data) != nil:
		problem = "data of another form than documented"
	default:
		return out, nil
	}
	if r.Method == http.MethodPost {
		return envelope{}, mayHaveActed(problem)
	}
	return envelope{}, unusable(problem)
}

// unusable is the fault for a read that was answered 200 with something that does
// not serve. Trying again may help.
func unusable(problem string) error {
	return &fault.Error{
		Code: fault.CRMUnavailable, Class: fault.Retryable, Source: fault.CRM,
		Msg: "Pipedrive answered a request with " + problem,
	}
}

// mayHaveActed is the fault for a create that was answered so: the activity may
// exist.
func mayHaveActed(problem string) error {
	return &fault.Error{
		Code: fault.Outcome, Class: fault.Unknown, Source: fault.CRM,
		Msg: "Pipedrive answered the new activity with " + problem + " and may have stored it",
	}
}

// retryAfter reads the wait of a refusal that has no Retry-After.
func retryAfter(status int, header http.Header) time.Duration {
	if status != http.StatusTooManyRequests {
		return 0 // the other headers speak of the limit alone
	}
	return crmhttp.SecondsHeader(headerReset)(status, header)
}

// limited completes the fault of a request that met a limit, and returns any other
// as it is. There are two limits: bursts, counted in a window of two seconds for
// each token, and the budget of the day, which the whole company shares. When the
// day's budget is used up, a Retry-After of seconds speaks of the other window and
// would have us ask all day.
func limited(err error, resp *crmhttp.Response) error {
	f, ok := fault.As(err)
	if !ok || f.Code != fault.RateLimited || resp == nil {
		return err
	}
	out := *f
	if !dailyLimit(resp) {
		out.RetryAfter = max(f.RetryAfter, burstWindow)
		return &out
	}
	if out.RetryAfter = max(f.RetryAfter, retryAfter(resp.Status, resp.Header)); out.RetryAfter < time.Minute {
		out.RetryAfter = dailyWait
	}
	out.Msg = "the company's daily budget of API requests is used up until Pipedrive's next day; an admin can buy more: " + f.Msg
	return &out
}

// forbidden completes the fault of a request that Pipedrive knew and forbade, and
// returns any other as it is.
func forbidden(err error, resp *crmhttp.Response) error {
	f, ok := fault.As(err)
	if !ok || resp == nil || resp.Status != http.StatusForbidden {
		return err
	}
	out := *f
	out.Msg = "the app needs the scopes activities:full and contacts:read, and the user the permission for what was asked: " + f.Msg
	return &out
}

// dailyLimit reports whether the budget of the day is used up. The header says so
// when nothing at all is left, and the words when what is left is not enough.
func dailyLimit(resp *crmhttp.Response) bool {
	if strings.TrimSpace(resp.Header.Get(headerDaily)) == "0" {
		return true
	}
	words := strings.ToLower(errorMessage(resp))
	return strings.Contains(words, "daily") || strings.Contains(words, "per day") || strings.Contains(words, "budget")
}

// boilerplate begins the error_info that stands in most answers and says nothing.
const boilerplate = "Please check developers.pipedrive.com"

// errorMessage takes from a failed request's body what helps the user: what
// Pipedrive says, and more of it where it says more.
func errorMessage(resp *crmhttp.Response) string {
	var answer map[string]any
	if json.Unmarshal(resp.Body, &answer) != nil {
		return ""
	}
	text := func(name string) string {
		s, _ := answer[name].(string)
		return strings.TrimSpace(s)
	}
	words := cmp.Or(text("error"), text("message"))
	info := cmp.Or(text("error_info"), text("error_description"))
	switch {
	case info == "" || info == words || strings.HasPrefix(info, boilerplate):
		return words
	case words == "":
		return info
	}
	return fmt.Sprintf("%s (%s)", words, info)
}
