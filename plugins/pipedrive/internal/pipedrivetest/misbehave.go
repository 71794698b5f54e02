package pipedrivetest

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// blocked is the kind of page that a proxy puts in front of an API. Pipedrive's
// documentation says that its own answers 403 with such a page to clients that
// ignore 429.
const blocked = "<!DOCTYPE html><html><head><title>Access denied</title></head>" +
	"<body><h1>Access denied</h1><p>This error is produced by the network in front of the API.</p></body></html>"

// misbehave ends a request as the fault says. It does the work, when the fault
// lets it.
func (f *Fake) misbehave(rt route, c *call, fault Fault, apply func() reply) {
	if fault.Do == Late {
		if !f.acquire() {
			c.answer(busy)
			return
		}
		f.applyLate(fault, apply)
		f.answerLate(rt, c, fault)
		return
	}
	var right reply
	if fault.after() {
		if right = apply(); right.status >= http.StatusMultipleChoices {
			c.answer(right) // there is nothing to be hidden
			return
		}
	}
	switch fault.Do {
	case Slow:
		f.pause(fault.Delay)
		if !fault.after() {
			right = apply()
		}
		c.answer(right)
	case Status:
		f.answerStatus(rt, c, fault)
	case Garbage:
		if !fault.after() {
			right = done(map[string]any{"id": 1})
		}
		c.entry.Status = http.StatusOK
		junk(c.w, fault.Junk, right.text())
	case Hold:
		f.hold(c)
	default:
		reset(c.w)
	}
}

// applyLate does the work later, in a goroutine that Close waits for and that has
// a slot of its own.
func (f *Fake) applyLate(fault Fault, apply func() reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.pending.Add(1)
	work := func() {
		defer f.release()
		apply()
		f.tally.late.Add(1)
		f.tally.pending.Add(-1)
	}
	if f.closed {
		work()
		return
	}
	f.late.Go(func() {
		f.pause(fault.Delay)
		work()
	})
}

func (f *Fake) answerLate(rt route, c *call, fault Fault) {
	switch {
	case fault.Status != 0:
		f.answerStatus(rt, c, fault)
	case fault.Held:
		f.hold(c)
	default:
		reset(c.w)
	}
}

// hold keeps the connection open until the client goes.
func (f *Fake) hold(c *call) {
	select {
	case <-c.r.Context().Done():
	case <-f.closing:
	}
	reset(c.w)
}

func (f *Fake) answerStatus(rt route, c *call, fault Fault) {
	h := c.w.Header()
	if fault.RetryAfter != "" {
		h.Set("Retry-After", fault.RetryAfter)
	}
	if fault.RateLimitReset != 0 {
		h.Set("X-Ratelimit-Remaining", "0")
		h.Set("X-Ratelimit-Reset", strconv.Itoa(fault.RateLimitReset))
	}
	if fault.Junk == HTML {
		c.entry.Status = fault.Status
		send(c.w, fault.Status, "text/html; charset=utf-8", []byte(blocked))
		return
	}
	code, message := standard(fault.Status)
	if fault.Message != "" {
		message = fault.Message
	}
	v := rt.v
	if fault.Status == http.StatusTooManyRequests || fault.Status == http.StatusForbidden {
		v = v1 // these come from the gateway
	}
	c.answer(refuse(v, fault.Status, code, message))
}

// standard is what an answer with a status says by itself.
func standard(status int) (code, message string) {
	switch status {
	case http.StatusBadRequest:
		return codeBadRequest, "Bad request"
	case http.StatusUnauthorized:
		return "ERR_UNAUTHORIZED", "Invalid token: access token is invalid"
	case http.StatusForbidden:
		return "ERR_FORBIDDEN", "Scope and URL mismatch"
	case http.StatusNotFound:
		return codeNotFound, "Activity not found"
	case http.StatusTooManyRequests:
		return "ERR_TOO_MANY_REQUESTS", "Request over limit"
	case http.StatusServiceUnavailable:
		return "ERR_SERVICE_UNAVAILABLE", "Requested service is not available"
	}
	return "ERR_INTERNAL", http.StatusText(status)
}

// junk answers 200 with what the kind makes of the right answer.
func junk(w http.ResponseWriter, kind Junk, right []byte) {
	const asJSON = "application/json; charset=utf-8"
	switch kind {
	case HTML:
		send(w, http.StatusOK, "text/html; charset=utf-8", []byte(blocked))
	case Truncated:
		send(w, http.StatusOK, asJSON, right[:len(right)/2])
	case Empty:
		send(w, http.StatusOK, asJSON, nil)
	case NotSuccess:
		send(w, http.StatusOK, asJSON, refuse(v2, http.StatusOK, "ERR_INTERNAL", "Something went wrong").text())
	default:
		send(w, http.StatusOK, asJSON, spoil(kind, right))
	}
}

// spoil takes the data, or their ids, out of an answer, or turns the ids into
// strings.
func spoil(kind Junk, right []byte) []byte {
	var body map[string]jsontext.Value
	if err := json.Unmarshal(right, &body); err != nil { // only an answer of this package comes here
		return right
	}
	data := body["data"]
	delete(body, "data")
	if kind != NoData {
		var list []map[string]jsontext.Value
		if data.Kind() == '[' && json.Unmarshal(data, &list) == nil {
			for i := range list {
				spoilID(kind, list[i])
			}
			body["data"] = reply{body: list}.text()
		} else {
			var one map[string]jsontext.Value
			if json.Unmarshal(data, &one) == nil {
				spoilID(kind, one)
			}
			body["data"] = reply{body: one}.text()
		}
	}
	return reply{body: body}.text()
}

func spoilID(kind Junk, record map[string]jsontext.Value) {
	id := record["id"]
	delete(record, "id")
	if kind == TextID {
		record["id"] = jsontext.Value(strconv.Quote(string(id)))
	}
}
