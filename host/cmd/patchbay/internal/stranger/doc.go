// Package stranger tests what somebody has who writes an adapter in a module of
// their own, with the documentation alone. It holds tests only.
//
// Each module under test is put into a directory outside the repository, with a
// go.mod that replaces Patchbay by this checkout, and goes the way of its author:
// it is built without a network, its own tests are run, it is packed by "patchbay
// adapter pack", a host of its own takes it, and messages are logged through it
// into the fake CRM that it brings along. What its program is made of is held
// against the list of package scaffold: go-plugin, gRPC and what those need, and
// nothing of the host's.
//
// One module is the one that "patchbay adapter new" writes. Others lie in
// testdata/<adapter's name>, without go.mod and go.sum, and have a line in the list
// of modules: see module_test.go for what a module must bring along. Of these, tiny
// is the least that is an adapter, and cardfile was written by somebody who had the
// documentation alone, for a CRM that is unlike those of this repository: it takes
// forms, Basic credentials and a second request for the folder, and answers the ID
// in the Location header.
package stranger
