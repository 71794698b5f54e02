package sdktest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

// Scripted returns an adapter without a CRM that does what the script says with
// each call of AddMessageLog. The field "script" of additionalSubmission, where
// submitted, takes the script's place for that call.
//
//	ok, echo          answers a log ID that no other process answers
//	slow:3s           does so after a while, or fails when the call ends
//	wait              waits until the call ends, then fails
//	hang              never returns, whatever the call's context does
//	panic             panics
//	crash             panics in a goroutine of its own: the process dies
//	exit:3            ends the process with that code
//	kill              ends the process by SIGKILL
//	fork-and-die      the same, leaving a child that holds stdout and stderr for 30 s
//	error:<code>      a fault with that code and its usual class
//	error:<code>:<c>  a fault with that code and the class c
//	plain-error       an error that is no fault and names the call's secret
//	empty-id, huge-id, control-id, nil-response
//	                  answers that no host can use
//	stdout-noise      prints 1 MiB with fmt, then ok
//	raw-stdout:<MiB>  writes one line without end to file descriptor 1, then ok
//	stderr-bomb       writes 1 MiB of hostile log lines to file descriptor 2, then ok
//	leak:<MiB>        allocates and keeps that much, then ok
//	spin              burns a processor until the call ends, then ok
//
// Of its health:
//
//	not-serving       answers NotServing
//	sick-panic        panics when asked
//	sick-hang         never answers
//
// "find:" before a script gives an adapter with FindMessageLog, which finds what
// this process logged. An unknown script is answered with unsupported. For those
// that misbehave before they serve, see ServeScripted.
//
// With EnvRecord set, each call is recorded before the script is played.
func Scripted(script string) sdk.Adapter {
	script, finds := strings.CutPrefix(script, "find:")
	a := &scripted{script: script, records: recorder{path: os.Getenv(EnvRecord)}, logged: map[string][]string{}}
	if finds {
		return &scriptedFinder{a}
	}
	return a
}

// ServeScripted serves Scripted(script), as the main function of an adapter
// process; a test's own binary may be that process. These scripts misbehave
// before they serve, and do not return:
//
//	exit-at-start:<code>   ends, without a word
//	stderr-at-start:<code> explains itself on standard error, then ends
//	panic-at-start         panics
//	kill-at-start          ends by SIGKILL
//	silent-start           never writes a handshake
//	garbage-handshake      writes a first line that is no handshake, then waits
//	noise-before-handshake prints a line, then serves as "ok"
//	wrong-protocol         offers version 99 of the contract
//	wrong-core             speaks another version of the handshake itself
func ServeScripted(script string) {
	if misstart(script) {
		script = "ok"
	}
	serve.Adapter(Scripted(script))
}

type scripted struct {
	script  string
	records recorder

	mu     sync.Mutex
	count  int
	logged map[string][]string // idempotency key → log IDs
	kept   [][]byte            // what leak keeps
}

// AddMessageLog plays the script.
func (a *scripted) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	if err := a.records.add(newRecord("AddMessageLog", rpc.RequestID(ctx), req)); err != nil {
		return nil, err
	}
	script := cmp.Or(req.Field("script").String(), a.script)
	name, argument, _ := strings.Cut(script, ":")
	if act, known := acts[name]; known {
		return act(ctx, call{adapter: a, req: req, argument: argument})
	}
	return unknownScript(name)
}

// CheckHealth answers as the script says.
func (a *scripted) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	switch a.script {
	case "not-serving":
		return sdk.NotServing("told not to serve"), nil
	case "sick-panic":
		panic("told to panic when asked for health")
	case "sick-hang":
		forever()
	}
	return sdk.Serving(), nil
}

// log makes a record and returns its ID, unique across processes.
func (a *scripted) log(req *sdk.AddMessageLogRequest) *sdk.AddMessageLogResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	id := fmt.Sprintf("log-%d-%d-%d", os.Getpid(), started.UnixNano(), a.count)
	a.logged[req.IdempotencyKey] = append(a.logged[req.IdempotencyKey], id)
	return sdk.Logged(id)
}

// started tells two processes with one pid apart.
var started = time.Now()

// scriptedFinder is a scripted adapter that can search.
type scriptedFinder struct{ *scripted }

// FindMessageLog finds what this process logged.
func (a *scriptedFinder) FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	record := newRecord("FindMessageLog", rpc.RequestID(ctx), req.Original)
	record.SentAfter, record.SentBefore = req.SentAfter, req.SentBefore
	if err := a.records.add(record); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if ids := a.logged[req.IdempotencyKey]; len(ids) > 0 {
		return sdk.Found(slices.Clone(ids)...), nil
	}
	return sdk.NotFound(time.Now()), nil
}
