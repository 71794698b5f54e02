// Package doctest holds the documents against the code. It holds tests only.
//
// What a document says in a form that a program can read is either made from the
// code or run:
//
//   - A table under a "table: NAME" comment has one row for each thing that the
//     code knows, with the code's own words.
//   - A block under an "output of: COMMAND" comment is what the command prints,
//     apart from ports, process ids, times and paths.
//   - A block under a "code from: FILE FUNC" comment is that function.
//   - A block under a "copy of: FILE" comment is that file's JSON.
//   - The shell blocks of the README's section "Try it by hand" are run from top to
//     bottom, in a copy of the repository, and every block of YAML is loaded as a
//     configuration.
//
// Names are looked up: files that are linked to, targets of make, commands and
// flags, metrics, variables, tests.
//
//	go test ./host/cmd/patchbay/internal/doctest -update
//
// writes tables and blocks of code and output anew. Everything else is for a
// person to mend.
package doctest
