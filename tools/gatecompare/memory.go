package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/gate/gatetest"
)

// memory writes a long stream to a live gate, as a command would, and looks at the
// heap on the way.
func memory(b *strings.Builder, o options) error {
	var block []byte
	for _, s := range gatetest.Ordinary(o.seed, 256<<10) {
		block = append(block, s.Text...)
	}
	before := heap()
	peak := before
	session, err := (&gate.Gate{}).Open(gate.Options{Sandbox: "memory"})
	if err != nil {
		return fmt.Errorf("open a gate: %w", err)
	}
	w := session.Command(0, false).Stream("stdout", io.Discard, gate.How{})
	const write, looks = 32 << 10, 256 // as a pipe gives; every so many writes
	i := 0
	for total := o.stream << 20; total > 0; {
		for part := range slices.Chunk(block, write) {
			if _, err := w.Write(part); err != nil {
				return fmt.Errorf("write to the gate: %w", err)
			}
			total -= len(part)
			if i++; i%looks == 0 {
				peak = max(peak, heap())
			}
		}
	}
	fmt.Fprintf(b, "## Memory\n\nA live stream of %d MiB of ordinary material of all kinds through a gate as policies have it by default (secrets, terminal sequences, content, all that is decoded), in writes of 32 KiB: the heap grew by %.1f MB at most, its findings among it; the rules were compiled before.\n",
		o.stream, float64(peak-before)/1e6)
	return nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
