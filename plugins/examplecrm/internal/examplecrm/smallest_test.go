package examplecrm_test

// This is the smallest useful adapter, whole. Its main function is
//
//	func main() { serve.Adapter(smallest{must(crmhttp.New(crmhttp.FromEnv("EXAMPLECRM")))}) }

import (
	"context"
	"encoding/json"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/render"
)

type smallest struct{ crm *crmhttp.Client }

func (s smallest) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	in := map[string]any{
		"contactId":   req.ContactInfo.ID.String(),
		"contactType": req.ContactInfo.Type,
		"subject":     render.Subject(req),
		"note":        render.HTML(req),
		"externalId":  req.IdempotencyKey,
		"occurredAt":  req.Messages[0].CreationTime,
	}
	var out struct {
		ID json.Number `json:"id"`
	}
	if err := s.crm.For(req).PostJSON(ctx, "/activities", in, &out); err != nil {
		return nil, err // already classed
	}
	return sdk.Logged(out.ID.String()), nil
}
