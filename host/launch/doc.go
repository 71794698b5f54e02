// Package launch starts adapter processes. It is the only host package that
// knows go-plugin, and it takes from go-plugin the handshake and the gRPC
// connection, nothing else: pipes, waiting, killing and reading what a process
// prints are its own, because what an adapter does is hostile input.
//
// # One start
//
//  1. The executable is copied into a sealed memory file, the copy is hashed and
//     compared with the digest, and the copy is what runs: nothing can be swapped
//     in between. There is one such image per digest, kept for the life of the
//     Launcher or until Drop. (Systems without memory files get a private copy, mode 0500.)
//  2. The image's header is read: another architecture, or an interpreter that
//     this machine lacks, is named before anything runs.
//  3. The process is started in a session of its own, with an environment made
//     from the Spec alone. On Linux the kernel kills it when the host dies; since
//     that is bound to the thread that forked, one locked thread does all forks.
//     Standard input is a lifeline: it ends when the host does.
//  4. The first line on standard output is the handshake. It is read here, with
//     bounds, so that every way of failing has its own cause; go-plugin is shown
//     only a line that has been checked.
//  5. The socket must lie in the private directory made for this process, and its
//     peer must be this process or one of its group.
//  6. GetInfo must answer.
//
// # One end
//
// Death is known from the process itself, not from its pipes, which a
// grandchild may hold open for ever. Then the rest of its group is killed, and
// what left the group is found by its session or by the mark in its environment,
// PATCHBAY_RUN_ID. Only then does Done close.
//
// # Leftovers
//
// Each process stands with its start time in a file in Config.RunDir. A host that
// was killed leaves these files, and the next one calls ReapLeftovers before it
// believes that nothing of an earlier life can still write to a CRM. A file names
// its host as well: what belongs to one that lives is left alone.
package launch
