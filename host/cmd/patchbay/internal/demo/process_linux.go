package demo

import "syscall"

// childAttributes puts a child into a process group of its own, so that a Ctrl-C
// reaches the demonstration alone, and has it end when the demonstration dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
