// Package wasmtest makes the WebAssembly modules that tests run, from Go, C and the
// text format, with the compilers that are installed.
//
// What this package does not protect: it is for tests.
package wasmtest

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed modules
var sources embed.FS

// Build makes all modules: DIR/NAME.wasm of each, and gofmt.wasm of Go itself.
func Build(dir string) error {
	work, err := os.MkdirTemp("", "kavach-wasmtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, sources); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(work, "modules"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, kind, _ := strings.Cut(e.Name(), ".")
		from, to := filepath.Join(work, "modules", e.Name()), filepath.Join(dir, name+".wasm")
		switch kind {
		case "":
			mode := "default"
			if strings.HasSuffix(name, "plugin") {
				mode = "c-shared" // a reactor
			}
			err = run(from, wasip1(), "go", "build", "-buildmode="+mode, "-o", to, "main.go")
		case "c":
			err = run("", nil, "clang", "--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-o", to, from)
		case "wat":
			err = run("", nil, "wat2wasm", "-o", to, from)
		}
		if err != nil {
			return err
		}
	}
	return run("", wasip1(), "go", "build", "-o", filepath.Join(dir, "gofmt.wasm"), "cmd/gofmt")
}

func wasip1() []string { return append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=") }

func run(dir string, env []string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
