// Package e2e tests the whole host from outside: HTTP in front, adapter processes
// behind, and the example CRM or the fake of Pipedrive as the judge of what was
// lost or logged twice. It holds tests only.
//
// Every test starts a host of its own on a free port with a fresh data directory:
// in this process, where the race detector and the leak check see it, or as the
// built command where the host itself has to die. The adapters are the bundled
// ones, built and packed once, and "recorder": this test binary itself, which
// writes down what arrived in its process.
//
// A test trusts nobody's word. What the CRM holds is read from the CRM's own
// table, what the host believes from its ledger over HTTP, and the two are
// compared record by record.
package e2e
