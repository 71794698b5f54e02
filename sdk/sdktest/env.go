package sdktest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// env is what one case works with.
type env struct {
	*suite
	adapter sdk.Adapter
	target  target
	log     *logbook
	base    int64  // below it lie no message ids of the case
	word    string // begins a word of every text of the case, and stands nowhere else
}

// newEnv returns what the case with that name works with. Its ids and words are
// made of the name: cases may share a CRM, and a recorded answer still fits in the
// next run.
func newEnv(name string, s *suite, a sdk.Adapter, reach target, log *logbook) *env {
	sum := sha256.Sum256([]byte(name))
	e := &env{suite: s, adapter: a, target: reach, log: log}
	log.watch(s.request().AuthHeader)
	e.base = int64(binary.BigEndian.Uint32(sum[:4])) * 10_000
	e.word = fmt.Sprintf("sdktest%x", sum[4:8])
	return e
}

// wordOf returns the word that stands in the text of the message with that number.
func (e *env) wordOf(id int64) string { return fmt.Sprintf("%sn%dx", e.word, id) }

// message returns a message like the sample with that text. Messages in order of
// their numbers are oldest first.
func (e *env) message(id int64, text string) sdk.Message {
	return e.shaped(id, map[string]any{"subject": text + " " + e.wordOf(id)})
}

// shaped returns a message like the sample with these members instead of its own;
// a nil value takes a member out.
func (e *env) shaped(id int64, members map[string]any) sdk.Message {
	all := map[string]any{
		"id": e.base + id, "subject": "Flight information " + e.wordOf(id),
		"creationTime": SeedMessage().CreationTime.Add(time.Duration(id) * time.Second),
	}
	maps.Copy(all, members)
	return MessageWith(all)
}

// with returns a request that carries these messages.
func (e *env) with(messages ...sdk.Message) *sdk.AddMessageLogRequest {
	req := *e.request()
	req.Messages = messages
	req.IdempotencyKey = key(messages)
	if req.Zone != "" {
		req.OffsetSeconds = sdk.Zone{Name: req.Zone}.OffsetAt(messages[0].CreationTime)
	}
	return &req
}

// add logs a request within patience, and holds the answer against the rules of
// every case.
func (e *env) add(r reporter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	r.Helper()
	before := e.count()
	resp, err := e.call(r, e.target.AddMessageLog, req)
	if err == nil && resp != nil {
		e.checkWrites(r, before, 1)
	}
	return resp, err
}

// call is add without a look at the writes, which calls at once share.
func (e *env) call(r reporter, do adder, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), e.patience)
	defer cancel()
	e.log.watch(req.AuthHeader)
	resp, err := do(ctx, req)
	if err == nil && resp != nil {
		e.logged.Add(1)
		inspect(r, "AddMessageLog answered", req, answerText(resp))
	}
	if err != nil {
		inspect(r, "AddMessageLog failed", req, err.Error())
	}
	return resp, err
}

// adder is the method AddMessageLog of an adapter, or of the client of one.
type adder func(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)

// mustAdd logs a request that has nothing wrong with it, and returns the log ID.
func (e *env) mustAdd(r reporter, what string, req *sdk.AddMessageLogRequest) string {
	r.Helper()
	resp, err := e.add(r, req)
	switch {
	case err != nil:
		r.Fatalf("%s: AddMessageLog failed on a request that has nothing wrong with it: %v\n%s", what, err, hint(req, err))
	case resp == nil:
		r.Fatalf("%s: AddMessageLog answered with neither a result nor an error", what)
	}
	if err := sdk.CheckLogID(resp.LogID); err != nil {
		r.Fatalf("%s: %v", what, err)
	}
	return resp.LogID
}

// logs is mustAdd for one request of several: the others are tried all the same.
func (e *env) logs(r reporter, what string, req *sdk.AddMessageLogRequest) {
	r.Helper()
	if refusal := e.settles(r, what, req); refusal != nil {
		r.Errorf("%s: AddMessageLog refuses what must be logged: %v\n%s", what, refusal, hint(req, refusal))
	}
}

// settles logs a request that a CRM may refuse: a log ID is as good as a fault
// that says the CRM has not acted. It returns that fault; nil when the request was
// logged, or was found fault with.
func (e *env) settles(r reporter, what string, req *sdk.AddMessageLogRequest) (refusal error) {
	r.Helper()
	resp, err := e.add(r, req)
	switch f, isFault := fault.As(err); {
	case err == nil && resp == nil:
		r.Errorf("%s: AddMessageLog answered with neither a result nor an error", what)
	case err == nil:
		if err := sdk.CheckLogID(resp.LogID); err != nil {
			r.Errorf("%s: %v", what, err)
		}
	case !isFault:
		r.Errorf("%s: the error is no fault, so the host can only call the outcome unknown: %v", what, err)
	case f.Class == fault.Unknown:
		r.Errorf("%s: the fault is of class unknown, which locks the message until a person or a search settles it: %v", what, err)
	default:
		r.Logf("%s: refused: %v", what, err)
		return err
	}
	return nil
}

// hint says what the author of the test can do about a refusal.
func hint(req *sdk.AddMessageLogRequest, err error) string {
	if fault.CodeOf(err) == fault.CRMUnauthorized && req.AuthHeader.Reveal() == AuthHeader {
		return fmt.Sprintf("the fake CRM must take the Authorization header of Request, %q, or WithRequest must give requests with one that it takes", AuthHeader)
	}
	return "the fake CRM must accept the suite's requests: those of Request (contact 7), or those of WithRequest where it needs certain ids, fields, settings or credentials"
}

// count returns the writes so far.
func (s *suite) count() int {
	if s.writes == nil {
		return 0
	}
	return s.writes()
}

// checkWrites wants at most the writes of so many calls since there were before.
func (e *env) checkWrites(r reporter, before, calls int) {
	r.Helper()
	if n := e.count() - before; n > calls*e.perCall {
		r.Errorf("%d successful calls made %d writes, and %d is the most: make one record in a call. "+
			"Where one record takes several writes, say so by WithWritesPerCall", calls, n, calls*e.perCall)
	}
}

// checkCounter wants the number of WithWrites to grow by calls that succeed, for
// one that does not hides everything.
func (s *suite) checkCounter(r reporter, before int) {
	r.Helper()
	if n := s.logged.Load(); s.writes != nil && n > 0 && s.count() == before {
		r.Errorf("%d calls succeeded, and WithWrites counted nothing: it must count what reaches the CRM of newAdapter", n)
	}
}

// sortedKeys returns the names of a table in order, so that every run is the same.
func sortedKeys[V any](table map[string]V) []string { return slices.Sorted(maps.Keys(table)) }
