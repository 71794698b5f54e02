// Package bench measures what a call of addMessageLog costs on its way through
// the host, beside the least that a go-plugin call can cost on the same machine
// at the same time. "make bench" prints its table.
//
// Four paths are measured, each by 1, 16 and 64 callers that call again as soon
// as they are answered:
//
//	A  a bare go-plugin call: 2 KiB over a Unix socket, no TLS, nothing else
//	B  the relay with the in-memory store, and an adapter that answers at once
//	C  a host over HTTP, its SQLite ledger fsynced, and the same adapter
//	D  the same host with the example adapter and the example CRM behind it
//
// The host, each adapter and the CRM are processes of their own; the load
// generator is the test process, and A and B have their calling side in it. All
// of them share the machine's cores, and the table says how much of the cores the
// generator took. The paths take turns, cell by cell, so that a machine that grows
// slower or faster does so for all of them; figures are medians over the rounds.
//
// Every call has messages of its own, and every answer is checked: a wrong one, a
// log ID given twice, or a ledger or CRM that does not hold exactly what was sent
// fails the run.
//
// To profile the host and the adapter along one path (along B the relay is in the
// test process, which -cpuprofile profiles):
//
//	go test -run '^$' -bench Table ./host/cmd/patchbay/internal/bench \
//		-args -paths C -callers 64 -rounds 1 -cell 10s -profile /tmp/profile
//
// All code is in test files, for only the wire packages may know go-plugin.
package bench
