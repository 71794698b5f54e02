// Command pipedrive is the adapter for Pipedrive. A Patchbay host runs it.
package main

import (
	"github.com/patchbay-crm/patchbay/plugins/pipedrive/internal/pipedrive"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

func main() {
	serve.Adapter(pipedrive.New(), serve.LogLevelFrom("PIPEDRIVE_LOG_LEVEL"))
}
