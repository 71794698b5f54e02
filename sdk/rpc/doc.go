// Package rpc is both ends of the wire between Patchbay's host and an adapter
// process: handshake, client, server, the converters between proto messages and
// the types of package sdk, and the way of a fault into a gRPC status and back.
// Adapter authors use sdk/serve instead.
//
// # The wire, protocol version 1
//
// Start. The host starts the adapter with the environment variable named by
// Handshake's cookie key. The adapter listens on a Unix socket and writes
// hashicorp/go-plugin's handshake line as the first line of its standard output:
//
//	1|1|unix|/path/of/socket|grpc|
//
// The first number is go-plugin's own version, the second is the version of this
// contract, chosen from PLUGIN_PROTOCOL_VERSIONS. Versions are served side by
// side (see Plugins). TLS is used when the host offers a certificate in
// PLUGIN_CLIENT_CERT, which it does not by default: between processes of one
// user, on a socket in a private directory, it protects nothing.
//
// Services. The adapter serves patchbay.adapter.v1.AdapterService, and of
// go-plugin's services plugin.GRPCController (Shutdown), plugin.GRPCStdio and
// grpc.health.v1.Health. The host asks GetInfo once, then sends calls,
// concurrently. It never repeats a call on its own account: gRPC's retries and
// service config are off (see DialOptions).
//
// Sizes. A request is at most MaxRequestBytes, an answer at most
// MaxResponseBytes, the trailers of an answer at most 64 KiB.
//
// Deadlines. The gRPC deadline says how long the host listens; a process that has not
// answered by then counts as hung, so the server of this package ends the adapter's
// context a quarter of a second before it, at most. The request's own
// deadline, which is earlier, says how long the caller waits; notAfter says until
// when something may be sent to the CRM.
//
// Metadata. "patchbay-request-id" carries the id of the caller's request, 1 to
// 128 printable ASCII characters without spaces. The adapter puts it into its
// log records as "request_id".
//
// Faults. A failed call is a gRPC status with a google.rpc.ErrorInfo: domain
// "patchbay", reason the fault's code, metadata "class" (unknown, retryable,
// permanent; anything else reads as unknown) and, where it differs from the
// code's own, "source" (adapter, crm). A wait travels in google.rpc.RetryInfo.
// The status message is for people, at most 1 KiB, without secrets. The gRPC code
// itself is for tools only: the table stands in status.go. A status without our
// ErrorInfo was made by the transport, or by a handler that threw something else,
// and the outcome of the call is unknown. Unavailable, Canceled and
// DeadlineExceeded then mean that no answer came (ErrBrokenOff); with any other
// code the handler has returned.
//
// Trust. What an adapter answers is input from a stranger. The client checks log
// IDs, cuts texts, takes the call's own credentials out of them, drops log pages
// that are no web address or hold credentials, bounds waits, and turns codes that
// an adapter may not raise into adapter_fault. An answer it cannot use is an
// adapter_fault of class unknown, for the CRM record may exist.
//
// Writes that were seen. When a watching client saw the CRM take a write of the
// call, or not refuse it, no fault of the adapter is definite: the server turns
// one of class retryable or permanent into outcome_unknown, and logs what the
// adapter said.
//
// Panics and plain errors. The server recovers a panic in adapter code, logs the
// stack and answers adapter_fault; the process lives on. An error that is no
// fault.Error is answered with a general text, since it may hold a secret, and
// logged on the adapter's side. Both are permanent when every CRM request of the
// call went through a watching client and none of them was a write, else unknown.
package rpc
