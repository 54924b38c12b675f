//go:build wasip1

// Command goplugin is a plugin in Go: a reactor whose functions are called.
package main

import (
	"fmt"
	"os"
	"strings"
)

var greeted int

//go:wasmexport greet
func greet(n int32) int32 {
	greeted++
	fmt.Println(strings.Repeat("hello ", int(n)), os.Getenv("NAME"))
	fmt.Fprintln(os.Stderr, "greeted", greeted)
	return int32(greeted)
}

//go:wasmexport leave
func leave() { os.Exit(6) }

func main() {}
