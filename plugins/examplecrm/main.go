// Command examplecrm is the adapter for the example CRM. A Patchbay host runs it.
package main

import (
	"github.com/patchbay-crm/patchbay/plugins/examplecrm/internal/examplecrm"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

func main() {
	serve.Adapter(examplecrm.New(), serve.LogLevelFrom("EXAMPLECRM_LOG_LEVEL"))
}
