// Package serve turns an adapter into a process that a Patchbay host can run.
// It is the whole main function of an adapter:
//
//	func main() { serve.Adapter(examplecrm.New()) }
//
// # Logging
//
// Adapter sets slog's default logger. Every record becomes one line of JSON on
// standard error, which the host reads and logs with the adapter's name, the
// level and the id of the request. The id comes from the context, so log with
// it:
//
//	slog.InfoContext(ctx, "contact matched", "contacts", 3)
//
// The log package writes there too. Take the default logger when you log, not
// when your adapter is made: that is before Adapter sets it.
//
// # Standard output and input
//
// The first line on standard output is the handshake. Printing before Adapter is
// called, as in an init function, breaks it. What is printed afterwards reaches
// the host by another way and does no harm. When the host sets
// PATCHBAY_LIFELINE=stdin, the end of standard input means that the host is gone,
// and the process ends.
//
// # Panics
//
// A panic in a method of the adapter is logged with its stack and answered as a
// fault; the process lives on. A panic in a goroutine that the adapter started
// ends the process, as in any Go program.
package serve
