// Package doctest holds the documents against the code. It holds tests only.
//
// It reads every Markdown file of the repository. A new document needs nothing: its
// links, blocks, code spans, commands and numbers are looked at as they are, and
// what no test knows fails with file and line.
//
// # Blocks
//
// Every fenced block names its language, and something holds it. An invisible
// comment on the line above it says what:
//
//	text  <!-- output of: COMMAND -->     what the command prints, apart from ports,
//	                                      process ids, times and ids
//	text  <!-- map -->                    the packages, compared with their imports
//	text  <!-- drawing of: WORDS -->      each word stands in it, and in the code
//	go    <!-- code from: FILE FUNC -->   that function
//	go    no comment                      what it names is declared
//	json  <!-- copy of: FILE -->          that file
//	json  no comment                      a manifest, read as a host reads it
//	yaml  no comment                      a configuration, loaded
//	sh    no comment                      make, go and scripts, looked up; elsewhere
//	                                      than here everything is run
//	sh    <!-- not run: WHY -->           patchbay too is looked up only
//	any   <!-- run by: TEST -->           that test, in a file that names the document
//
// "Try it by hand" of the README and docs/ADAPTERS.md are run from top to bottom, in
// a copy of the repository in which "make build" was run once. The host that the
// README starts is then asked for the routes, pages, metrics, files and variables
// that documents name, and gets every command that stands in their text.
//
// # Tables
//
// A table under <!-- table: NAME --> is compared row by row with what the code
// knows, or is looked at by the test that asks for that name. The events of
// docs/DELIVERY.md are played to the ledger.
//
// # Words and numbers
//
// A code span stands for something in the code: kindsOfSpans tells by its looks what
// it is and where to look it up, notInCode has the exceptions with a reason. A number
// in prose needs a line in numbers, which says where the code has it.
//
//	go test ./host/cmd/patchbay/internal/doctest -update
//
// writes tables and blocks of code and output anew. Everything else is for a person
// to mend.
package doctest
