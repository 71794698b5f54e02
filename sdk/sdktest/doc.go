// Package sdktest is for the tests of adapters, and of hosts.
//
// Run holds an adapter against the contract of package sdk, each case in this
// process and again over a real gRPC connection:
//
//	func TestContract(t *testing.T) {
//		sdktest.Run(t, func(t *testing.T) sdk.Adapter { return newAdapter(t, fakeCRM(t)) },
//			sdktest.WithWrites(countWrites), sdktest.WithRecords(listRecords))
//	}
//
// # Cases
//
// Each is a test of its own. Except leaves them out by these names, "go test -run
// TestContract/grpc/find" picks one.
//
//	single-message     a message of the usual kind is logged
//	group              three messages of one conversation are logged, as one record
//	record             with WithRecords: the record holds every text, and the key if there is a search
//	any-message        other kinds and shapes are logged, or refused for good; not all of them refused
//	unusual-ids        odd ids are logged or refused for good; the contact's own id as text is logged
//	any-text           every text is logged: none, markup, emoji, 10,000 characters
//	zones              messages are logged whatever the user's time zone
//	secret             credentials of other forms, which the CRM may refuse, show nowhere
//	send-window        after NotAfter nothing is sent, and the fault says so
//	cancelled          a call whose context has ended returns
//	concurrent         32 calls at once make 32 records
//	request-unchanged  the request is as it was, after a call that succeeds
//	definite-faults    no fault says that the CRM has not acted when it may have
//	capabilities       what the adapter reports is what it implements
//	health             CheckHealth answers, with a reason when the adapter does not serve
//	find               a search finds the record, no other and nothing else, and writes nothing
//
// # Rules of every case
//
// The request's Authorization header stands in no answer, no error and no record of
// the log: neither whole, nor its credentials alone, nor what they decode to. No
// text of a message is logged at info or above. The log is that of slog's default
// logger and of package log, to which a fake CRM in the test's process writes, too:
// let it log elsewhere.
//
// With WithWrites, a call that succeeds adds at most one write.
//
// # Requests
//
// Request, Message, MessageWith and FindRequest make input for tests of your own, and
// Run starts from Request as well: contact 7 and the header of AuthHeader. A fake CRM
// that knows other contacts or other credentials gets requests that fit with
// WithRequest:
//
//	sdktest.WithRequest(func() *sdk.AddMessageLogRequest {
//		req := sdktest.Request()
//		req.AuthHeader = sdktest.Basic("user", "password")
//		return req
//	})
//
// The messages and the keys of a case are its own, the same in every run.
//
// # For hosts
//
// Pair puts an adapter at the other end of a connection, and Scripted is an adapter
// that misbehaves as told, for tests of what a host does about it.
package sdktest
