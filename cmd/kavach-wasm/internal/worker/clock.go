//go:build linux

package worker

import (
	cryptorand "crypto/rand"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/kavach-dev/kavach/internal/wasmwire"
)

// tick is by how much a fixed clock goes on with each look, so that a program that
// waits for time to pass does not wait for ever.
const tick = int64(time.Microsecond)

// withClock gives a module the clocks of the machine, or some that show the same in
// every run.
func withClock(config wazero.ModuleConfig, c *wasmwire.Config) wazero.ModuleConfig {
	if !c.FixedClock {
		return config.WithSysWalltime().WithSysNanotime().WithSysNanosleep()
	}
	var passed int64 // since the start; one clock behind both
	look := func() int64 { passed += tick; return passed }
	return config.
		WithWalltime(func() (sec int64, nsec int32) {
			now := time.Unix(0, c.Clock).Add(time.Duration(look()))
			return now.Unix(), int32(now.Nanosecond())
		}, sys.ClockResolution(tick)).
		WithNanotime(look, sys.ClockResolution(tick)).
		WithNanosleep(func(ns int64) { passed += max(ns, 0) })
}

// withRandomness gives a module the kernel's randomness, or what follows from a seed
// (ChaCha8, of math/rand/v2, whose output is the same in every version of Go).
func withRandomness(config wazero.ModuleConfig, c *wasmwire.Config) (wazero.ModuleConfig, error) {
	if c.Seed == "" {
		return config.WithRandSource(cryptorand.Reader), nil
	}
	var seed [32]byte
	if copy(seed[:], c.Seed) != len(seed) || len(c.Seed) != len(seed) {
		return nil, fail("seed", errors.New("it is not of 32 bytes"))
	}
	return config.WithRandSource(rand.NewChaCha8(seed)), nil
}
