package sdktest

import (
	"strings"

	"github.com/patchbay-crm/patchbay/sdk"
)

// record looks into the CRM: one record of a call holds the texts of all its
// messages, and the key by which a search finds it.
func record(r reporter, e *env) {
	if e.records == nil {
		return
	}
	for _, numbers := range [][]int64{{151}, {161, 162, 163}} {
		var messages []sdk.Message
		for _, n := range numbers {
			messages = append(messages, e.message(n, "Every word counts"))
		}
		req := e.with(messages...)
		e.mustAdd(r, "a group", req)
		e.stands(r, req, numbers)
	}
}

// stands wants one record of the request's messages, which have these numbers.
func (e *env) stands(r reporter, req *sdk.AddMessageLogRequest, numbers []int64) {
	all := e.records()
	var own []string
	for _, text := range all {
		for _, n := range numbers {
			if strings.Contains(text, e.wordOf(n)) {
				own = append(own, text)
				break
			}
		}
	}
	if len(own) != 1 {
		r.Errorf("of %d records of the CRM, %d hold texts of the %d messages of one call; want one record", len(all), len(own), len(numbers))
	}
	text := strings.Join(own, "\n")
	for i, n := range numbers {
		if !strings.Contains(text, e.wordOf(n)) {
			r.Errorf("the text of message %d of %d is missing in the CRM", i+1, len(numbers))
		}
	}
	if _, finds := e.adapter.(sdk.MessageLogFinder); finds && !strings.Contains(text, req.IdempotencyKey) {
		r.Errorf("the record lacks the idempotency key, by which a search finds it")
	}
}
