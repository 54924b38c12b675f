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
	"sync"
	"testing"
)

// Env names a directory with what Build made, for tests of a user who has no
// compilers.
const Env = "KAVACH_TEST_MODULES"

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
			err = run(from, wasip1(), "go", "build", "-o", to, "main.go")
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

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kavach-modules-")
	if err == nil {
		err = Build(dir)
	}
	return dir, err
})

// Main is testing.M.Run, and removes what was made for it.
func Main(run func() int) int {
	defer func() {
		if os.Getenv(Env) == "" {
			if dir, _ := built(); dir != "" {
				os.RemoveAll(dir)
			}
		}
	}()
	return run()
}

// Dir is a directory with all modules.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Module returns the bytes of a module.
func Module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(t), name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
