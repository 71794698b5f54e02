// Command tiny is the smallest adapter that is of use: it has neither a search nor
// a health check.
package main

import (
	"context"
	"log"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/render"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

func main() {
	client, err := crmhttp.New(crmhttp.FromEnv("TINY"))
	if err != nil {
		log.Fatal(err)
	}
	serve.Adapter(adapter{client})
}

type adapter struct{ crm *crmhttp.Client }

func (a adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	var created struct {
		Key string `json:"key"`
	}
	path := crmhttp.Path("/people/{id}/lines", req.ContactInfo.ID)
	if err := a.crm.For(req).PostJSON(ctx, path, map[string]string{"line": render.Text(req)}, &created); err != nil {
		return nil, err
	}
	return sdk.Logged(created.Key), nil
}
