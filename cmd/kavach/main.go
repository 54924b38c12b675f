// Command kavach runs a program behind the isolation that a policy asks for, and
// says with evidence how strong that isolation is:
//
//	kavach run -- python3 program.py
//
// The program is its own guest: the same file, under another argv[0], is PID 1
// of each sandbox. So what is linked into it, and what its packages do at their
// start, costs each command time.
//
// What this program does not protect: whoever may run it decides what a sandbox
// may do and see.
package main

import (
	"os"

	_ "github.com/kavach-dev/kavach/guest/self"
)

func main() {
	if len(os.Args) > 0 && os.Args[0] == guardianName {
		os.Exit(guard())
	}
	os.Exit(run(os.Args[1:]))
}
