//go:build linux

// Attack tries what the code in a sandbox must not be able to do. The
// conformance rows of package backendtest run it inside sandboxes that they made
// for it; run anywhere else, it refuses.
//
// It exits with 0 where the attempt got through, with 1 where it was stopped,
// and with 2 where it could not try. It prints what the kernel answered.
package main

import (
	"fmt"
	"maps"
	"os"
	"strings"
)

// attempts is each attempt by its name. It returns what it has seen, and nil
// where it got through.
var attempts = map[string]func(args []string) (seen string, err error){
	"read": read,

	"dial": dial, "dialfast": dialFast, "listen": listen, "list": list, "own": dialOwn, "socket": socket,
	"call": call, "int80": callInt80, "x32": callX32, "upper": callUpper, "oob": outOfBand, "bpfsocket": socketFilter,
	"threads": threads,
	"forks":   forks, "threadbomb": threadBomb, "bomb": bomb, "memory": memory, "fill": fill, "inodes": inodes,
	"flood": flood, "stubborn": stubborn, "stopped": stopped,
}

func init() {
	maps.Copy(attempts, fileAttempts)
	maps.Copy(attempts, processAttempts)
	maps.Copy(attempts, exportAttempts)
	maps.Copy(attempts, credentialAttempts)
}

func main() {
	if host, _ := os.Hostname(); host != "kavach" && os.Getenv("KAVACH_ATTACK_TWIN") == "" {
		fmt.Fprintln(os.Stderr, "attack: this runs in sandboxes of Kavach's own tests only")
		os.Exit(2)
	}
	if len(os.Args) < 2 || attempts[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "attack: no such attempt")
		os.Exit(2)
	}
	seen, err := attempts[os.Args[1]](os.Args[2:])
	if err != nil {
		fmt.Println(seen, err)
		os.Exit(1)
	}
	fmt.Println(seen)
}

// read PATH TEXT reads a file and looks for a text.
func read(args []string) (string, error) {
	b, err := os.ReadFile(args[0])
	if err == nil && !strings.Contains(string(b), args[1]) {
		err = fmt.Errorf("it holds something else")
	}
	return "read " + args[0], err
}
