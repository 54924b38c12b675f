package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/wasm"
	"github.com/kavach-dev/kavach/internal/testbin"
)

func TestMain(m *testing.M) { testbin.Main(m) }

func TestCount(t *testing.T) {
	file := filepath.Join(t.TempDir(), "words.wasm")
	source := "words.wat"
	if dir := os.Getenv("KAVACH_SOURCE"); dir != "" {
		source = filepath.Join(dir, "examples/wasmhost", source)
	}
	if out, err := exec.Command("wat2wasm", "-o", file, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rt := &kavach.Runtime{Backends: []backend.Backend{&wasm.Backend{Guest: testbin.Kavach(t), Worker: testbin.Wasm(t), Cache: filepath.Join(t.TempDir(), "cache")}}}
	var out bytes.Buffer
	in := strings.NewReader("six times seven\n\n  forty   two\n")
	if err := count(t.Context(), rt, module, in, &out); err != nil || out.String() != "3\n0\n2\n5 in all\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
