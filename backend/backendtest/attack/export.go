//go:build linux

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// exportAttempts meddle with what is being exported.
var exportAttempts = map[string]func(args []string) (string, error){"swap": swap, "grow": grow}

// lasting is how long they go on, unless somebody ends them.
const lasting = time.Minute

// swap A B puts each in the place of the other, as fast as it can.
func swap(args []string) (string, error) {
	fmt.Println("swapping")
	for start := time.Now(); time.Since(start) < lasting; {
		if err := unix.Renameat2(unix.AT_FDCWD, args[0], unix.AT_FDCWD, args[1], unix.RENAME_EXCHANGE); err != nil {
			return "exchange", swapBySteps(args[0], args[1], start) // gVisor has no RENAME_EXCHANGE
		}
	}
	return "swapped", nil
}

// swapBySteps does it with a third name: now and then there is nothing at all.
func swapBySteps(a, b string, start time.Time) error {
	spare := b + ".spare"
	for time.Since(start) < lasting {
		for _, step := range [][2]string{{a, spare}, {b, a}, {spare, b}} {
			if err := os.Rename(step[0], step[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// grow FILE appends to it, as fast as it can, and now and then takes half away.
func grow(args []string) (string, error) {
	const most, block = 4 << 20, 4 << 10
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	fill := make([]byte, block)
	told := false
	for start := time.Now(); time.Since(start) < lasting; {
		for size := most / 2; size < most; size += block {
			if _, err := f.Write(fill); err != nil {
				return "write", err
			}
		}
		if !told {
			fmt.Println("growing")
			told = true
		}
		if err := f.Truncate(most / 2); err != nil {
			return "truncate", err
		}
	}
	return "grown", nil
}
