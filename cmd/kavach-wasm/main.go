// Command kavach-wasm is the worker of kavach's backend wasm: it runs one
// WebAssembly module, in a jail that kavach made for it, and is of no use by
// itself. It is a program of its own so that kavach, which starts for every
// command, need not link a compiler.
//
// What this program does not protect: it confines itself with a filter, and keeps
// modules to the directories that they were given. The jail around it is kavach's,
// and is what an escape from the runtime meets.
package main

import (
	"os"

	"github.com/kavach-dev/kavach/cmd/kavach-wasm/internal/worker"
)

func main() { os.Exit(worker.Main()) }
