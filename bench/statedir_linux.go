package main

import "github.com/kavach-dev/kavach/internal/jail"

// stateDir is the directory of the records of sandboxes.
func stateDir() (string, error) { return jail.StateDir() }
