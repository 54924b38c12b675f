package gate

import (
	"context"
	"io"
)

// Quarantine keeps what was withheld until somebody decides. *quarantine.Store of
// package gate/quarantine is one.
type Quarantine interface {
	// Keep returns when the parts are safe on disk, encrypted, and the id by which
	// they can be asked for. After a crash they are there whole, or not at all.
	Keep(ctx context.Context, h Held, parts ...Part) (id string, err error)
}

// Held is what is known of something that was withheld.
type Held struct {
	Sandbox  string    `json:"sandbox"`
	Exec     int       `json:"exec,omitempty"` // of output: which command, from 1
	Path     string    `json:"path,omitempty"` // of a file: where it was to go on the host; empty: it is output
	Mode     uint32    `json:"mode,omitempty"` // of a file: its permissions
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"`
}

// Part is one stream of what was withheld.
type Part struct {
	Name    string // "stdout", "stderr", "memory" or "file"
	Content io.Reader
}
