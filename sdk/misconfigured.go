package sdk

import (
	"context"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Misconfigured returns an adapter that stands in for one whose configuration is
// faulty. It refuses every call, surely unsent, and gives the reason as its
// health: operators see not_serving and these words, instead of a crash. The
// reason goes to callers, too, so it must hold no secret; the errors of
// crmhttp.New hold none.
//
// It has every capability, and a search cannot tell: what an adapter can do is
// not to look smaller for a slip in its configuration, for a host that sees no
// search leaves each doubt to a person.
func Misconfigured(reason error) Adapter {
	return misconfigured{"the adapter is misconfigured: " + reason.Error()}
}

type misconfigured struct{ text string }

// AddMessageLog implements Adapter.
func (m misconfigured) AddMessageLog(context.Context, *AddMessageLogRequest) (*AddMessageLogResponse, error) {
	return nil, &fault.Error{Code: fault.AdapterFault, Class: fault.Permanent, Msg: m.text}
}

// FindMessageLog implements MessageLogFinder.
func (misconfigured) FindMessageLog(context.Context, *FindMessageLogRequest) (*FindMessageLogResponse, error) {
	return CannotTell(0), nil
}

// CheckHealth implements HealthChecker.
func (m misconfigured) CheckHealth(context.Context, *CheckHealthRequest) (*CheckHealthResponse, error) {
	return NotServing(m.text), nil
}
