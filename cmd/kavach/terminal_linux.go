package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal asks for the settings that only terminals have (isatty(3)).
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
