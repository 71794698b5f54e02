package httpapi

import (
	"errors"
	"testing"

	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestHostTrouble(t *testing.T) {
	t.Parallel()
	disk, standing := errors.New("disk is full"), &relay.MessagesError{}
	overloaded := func(cause error) error {
		return &fault.Error{Code: fault.Overloaded, Class: fault.Retryable, Err: cause}
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"no fault":                {disk, true},
		"internal":                {fault.New(fault.Internal, ""), true},
		"busy":                    {overloaded(nil), false},
		"busy, messages named":    {overloaded(errors.Join(standing)), false},
		"ledger":                  {overloaded(disk), true},
		"ledger, messages named":  {overloaded(errors.Join(disk, standing)), true},
		"the CRM's refusal":       {fault.Rejected("no"), false},
		"a refusal with a cause":  {&fault.Error{Code: fault.CRMUnavailable, Err: disk}, false},
		"messages by themselves":  {overloaded(standing), false},
		"an unknown outcome, why": {fault.OutcomeUnknown(disk), false},
	} {
		if got := hostTrouble(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
