// Package main calls a function of a WebAssembly module that a stranger wrote, on
// each line of its input:
//
//	wat2wasm -o words.wasm examples/wasmhost/words.wat
//	echo 'six times seven' | go run ./examples/wasmhost words.wasm
//
// Each call has an instance of its own, a deadline, and a megabyte of memory.
//
// What this package does not protect: what the host's own functions do with what a
// module hands to them.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"

	_ "github.com/kavach-dev/kavach/guest/self" // this program is its own guest
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wasmhost MODULE.wasm <TEXT")
		os.Exit(2)
	}
	module, err := os.ReadFile(os.Args[1])
	if err == nil {
		rt := &kavach.Runtime{Backends: all.All()}
		err = count(context.Background(), rt, module, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wasmhost:", err)
		os.Exit(1)
	}
}

// count has the module count the words of each line.
func count(ctx context.Context, rt *kavach.Runtime, module []byte, in io.Reader, out io.Writer) (err error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return err
	}
	p.Require.MinScore = 75 // 80, and a little less for an ordinary user
	sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: "wasm"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sb.Destroy(ctx)) }()
	steps := 0
	plugin, err := sb.Load(ctx, kavach.Module{
		Cmd: kavach.Cmd{Args: []string{"words"}},
		Module: backend.Module{Bytes: module, Memory: 1 << 20, Functions: []backend.HostFunction{{
			Module: "host", Name: "progress", Signature: backend.Signature{Params: []backend.ValueType{backend.I32}},
			Call: func(context.Context, backend.Memory, []uint64) ([]uint64, error) { steps++; return nil, nil },
		}}},
		Fresh: true, CallTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		text := lines.Bytes()
		err := plugin.Do(ctx, func(ctx context.Context, i *kavach.PluginInstance) error {
			if err := i.Write(ctx, 0, text); err != nil {
				return err
			}
			words, err := i.Call(ctx, "words", 0, uint64(len(text)))
			if err == nil {
				fmt.Fprintln(out, words[0])
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = plugin.Close(ctx)
	fmt.Fprintln(out, steps, "in all")
	return errors.Join(err, lines.Err())
}
