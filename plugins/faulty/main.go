// Command faulty is an adapter that misbehaves as told. A Patchbay host runs it.
package main

import (
	"github.com/patchbay-crm/patchbay/plugins/faulty/internal/faulty"
	"github.com/patchbay-crm/patchbay/sdk/serve"
)

func main() {
	faulty.Start()
	serve.Adapter(faulty.New(), serve.LogLevelFrom("FAULTY_LOG_LEVEL"))
}
