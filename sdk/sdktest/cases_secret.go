package sdktest

import (
	"encoding/base64"

	"github.com/patchbay-crm/patchbay/sdk"
)

// marker is a text that stands nowhere but in a secret.
const marker = "sdktest-marked-secret-0d9f"

// secret sends credentials of forms that the request's own may not have. A fake CRM
// that checks credentials refuses them; what is made of that is looked at as in every
// case.
func secret(r reporter, e *env) {
	for i, header := range []string{
		"Bearer " + marker, "Basic " + base64.StdEncoding.EncodeToString([]byte(marker+":")), marker,
	} {
		req := e.with(e.message(int64(1101+i), "Psst"))
		req.AuthHeader = sdk.NewSecret(header)
		_, _ = e.add(r, req) // any outcome will do
	}
}
