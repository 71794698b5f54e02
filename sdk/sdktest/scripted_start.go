package sdktest

import (
	"fmt"
	"os"
	"strings"
)

// misstart plays a script that misbehaves before the adapter serves. It returns
// true when the adapter shall serve all the same, false when the script is none
// of these.
func misstart(script string) bool {
	name, argument, _ := strings.Cut(script, ":")
	switch name {
	case "exit-at-start":
		os.Exit(number(argument))
	case "stderr-at-start":
		_, _ = fmt.Fprintln(os.Stderr, "reading configuration\ncannot start: told not to")
		os.Exit(number(argument))
	case "panic-at-start":
		panic("told to panic at start")
	case "kill-at-start":
		killSelf()
	case "silent-start":
		forever()
	case "garbage-handshake":
		say("hello, this is no handshake")
	case "wrong-protocol":
		say("1|99|unix|/nonexistent/socket|grpc|")
	case "wrong-core":
		say("9|1|unix|/nonexistent/socket|grpc|")
	case "noise-before-handshake":
		fmt.Println("loading contacts ...")
		return true
	}
	return false
}

// say writes a line where the handshake belongs and waits to be killed.
func say(line string) {
	fmt.Println(line)
	forever()
}
