// Package crmhttp is the HTTP client with which an adapter talks to its CRM. It
// sees to what decides whether a message can be lost or logged twice, so that an
// adapter need not: deadlines, the send window, the classing of every failure,
// the list of hosts that may be called, and secrets that stay out of errors.
//
//	client, err := crmhttp.New(crmhttp.FromEnv("EXAMPLECRM"))
//	...
//	err = client.For(req).PostJSON(ctx, "/activities", activity, &created)
//
// # Reads and writes
//
// GET, HEAD and OPTIONS are reads. Every other method is a write, unless the
// Request says ReadOnly, as QueryJSON does for a search by POST. Writes are what
// the rules below are about:
//
//   - A write leaves only inside the send window (CRMCall.NotAfter). The window is
//     checked last, by the connection, directly before each piece of the request
//     is handed to the socket; by wall clock and by monotonic clock.
//   - A write is sent at most once. net/http cannot repeat it, for its body cannot
//     be rewound and the connection refuses a second start.
//   - From its first byte on a write counts as sent in the call's State, until the
//     CRM answers that it refused the request before acting.
//   - A write is never redirected.
//
// # Faults
//
// Every error is a *fault.Error:
//
//	what happened                                   after a read         after a write
//	400 404 409 422, other 4xx                      crm_rejected         crm_rejected
//	401 403                                         crm_unauthorized     crm_unauthorized
//	429 (Retry-After)                               rate_limited         rate_limited
//	425 503 (Retry-After)                           crm_unavailable      crm_unavailable
//	408, other 5xx, 1xx                             crm_unavailable      outcome_unknown
//	301 307 308 (the resource lives elsewhere)      followed             crm_rejected
//	302 303 (303 is how many answer a success)      followed             outcome_unknown
//	other 3xx                                       crm_rejected         outcome_unknown
//	no such host, connection refused, TLS, dial     crm_unavailable      crm_unavailable
//	timeout or reset before a byte was written      crm_unavailable      crm_unavailable
//	timeout or reset afterwards                     crm_unavailable      outcome_unknown
//	2xx whose body cannot be used                   crm_unavailable      outcome_unknown
//	host or address not allowed                     crm_rejected         crm_rejected
//	the send window has closed                      -                    crm_unavailable
//	a write in a call without a send window         -                    adapter_fault
//
// crm_rejected, crm_unauthorized and adapter_fault are permanent here,
// rate_limited and crm_unavailable retryable, outcome_unknown unknown. The
// source of a refusal to call a host or address is the adapter: the CRM was not
// asked, and the words name what allows it.
//
// One rule stands above the table: when an earlier write of the same call
// succeeded, or may have, no later failure of that call is definite. A record
// made by the first of two steps exists, whatever becomes of the second: an adapter
// that knows its ID answers sdk.Logged with a warning, and hands the second step's
// fault to nobody but the log (see the example of Session.Do). Handed on, such a
// fault becomes outcome_unknown; what happened stands in its cause, and StatusOf
// still finds the status. A first write that the CRM refused (a 409, say) leaves
// the call as definite as it was. The SDK's server holds the adapter's own faults
// to the same rule: fault.Rejected after such a write reaches the host as
// outcome_unknown.
//
// HTTP/1.1 only: there a connection carries one request at a time, so every byte
// written belongs to a known request. Proxies named in the environment are
// ignored, since they would see every credential and undo the egress list.
package crmhttp
