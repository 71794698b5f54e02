// Command cardfile is the adapter for Cardfile. A Patchbay host runs it.
package main

import "github.com/patchbay-crm/patchbay/sdk/serve"

func main() { serve.Adapter(New()) }
