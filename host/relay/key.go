package relay

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// idempotencyKey returns the key of a CRM record: a hash of whom it is for and of
// the set of its messages (rule 12). It needs no ledger, so a second record of the
// same set can be found even after the ledger was lost.
func idempotencyKey(scope ledger.Scope, messages []string) string {
	h := sha256.New()
	part := func(text string) {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
	for _, text := range []string{scope.Tenant, scope.Adapter, scope.Account, scope.ContactType, scope.ContactID} {
		part(text)
	}
	for _, id := range slices.Sorted(slices.Values(messages)) {
		part(id)
	}
	return "pb-" + hex.EncodeToString(h.Sum(nil)[:20])
}
