// Command build makes the modules that tests run, from Go, C and the text format,
// into a directory:
//
//	go run ./internal/wasmtest/build DIR
package main

import (
	"fmt"
	"os"

	"github.com/kavach-dev/kavach/internal/wasmtest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: build DIR")
		os.Exit(2)
	}
	if err := wasmtest.Build(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
