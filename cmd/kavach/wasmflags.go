package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/backend/wasm"
	"github.com/kavach-dev/kavach/policy"
)

// wasmFlags are what kavach run says of modules.
type wasmFlags struct {
	modules []string
	clock   string
	seed    string
}

func (f *wasmFlags) registerWasm(fs *flags) {
	fs.Texts(&f.modules, "wasm-module", "", "DIGEST", "run no WebAssembly module but this one (sha256:…), and nothing else", nil)
	fs.Text(&f.clock, "wasm-clock", "", "TIME", "show modules clocks that start then, such as 2026-01-01T00:00:00Z, and go on with each look", nil)
	fs.Text(&f.seed, "wasm-seed", "", "TEXT", "give modules randomness that follows from this, the same in each run", nil)
}

func (f *wasmFlags) applyWasm(p *policy.Policy) error {
	for _, m := range f.modules {
		if !slices.Contains(p.Wasm.Modules, m) {
			p.Wasm.Modules = append(p.Wasm.Modules, m)
		}
	}
	if f.clock != "" {
		p.Wasm.Clock = f.clock
	}
	if f.seed != "" {
		p.Wasm.Seed = f.seed
	}
	return nil
}

// applyModule chooses backend wasm for a file that is a WebAssembly module, where
// none was named; and on that backend it shows the module to the sandbox, where no
// mount does, since there is nothing else that could run.
func (j *job) applyModule(p *policy.Policy, args []string) {
	if len(args) == 0 || j.config.Backend != "auto" && j.config.Backend != wasm.Name {
		return
	}
	if j.config.Backend == "auto" && (!isModule(args[0]) || isProgram(args[0])) {
		return
	}
	j.config.Backend = wasm.Name
	file, err := filepath.Abs(args[0])
	if err == nil {
		file, err = filepath.EvalSymlinks(file)
	}
	if err != nil {
		return // the sandbox says that it is not there
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return
	}
	inside := args[0]
	if !filepath.IsAbs(inside) {
		inside = filepath.Join(p.Process.Workdir, inside)
	}
	shown := slices.ContainsFunc(p.Filesystem.Mounts, func(m policy.Mount) bool {
		source, err := filepath.EvalSymlinks(m.Source)
		return err == nil && under(inside, m.SeenAt()) && under(file, source) // no link leads out of a mount
	})
	if !shown && filepath.Dir(file) != "/" {
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: file})
		j.module = file
	}
}

// isModule reports whether a file begins as WebAssembly does (core specification,
// 5.5.16), whatever version it is of.
func isModule(name string) bool {
	const magic = "\x00asm"
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(magic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == magic
}

// isProgram reports whether a name without a slash is that of an installed program.
func isProgram(name string) bool {
	if strings.Contains(name, "/") {
		return false
	}
	_, err := exec.LookPath(name)
	return err == nil
}

// named is the command with the module's path as it is inside.
func (j *job) named(args []string) []string {
	if j.module == "" {
		return args
	}
	return append([]string{j.module}, args[1:]...)
}
