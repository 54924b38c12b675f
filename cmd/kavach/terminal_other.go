//go:build !linux

package main

import "os"

// isTerminal takes each character device for a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
