// Package takeout carries files out of a sandbox: Send reads them inside, with the
// rights of a command, and Reader takes what comes on the host.
//
//	inside (Send)                            host (Reader)
//	  │ open PATH, no link as its last name     │
//	  │ entry: a directory, a file, a refusal ▶ │ name, kind and bounds are checked
//	  │ content of a file, in chunks ─────────▶ │
//	  │ whole, or why it is not ──────────────▶ │
//	  │ …                                       │
//	  │ end: well, or why not ────────────────▶ │ what follows is not read
//
// A stream without its end is none: whoever was killed half-way has sent nothing.
//
// What this package does not protect: what comes out is whatever somebody inside
// wanted to come out, whoever sent it. Names stay below the directory that was
// asked for, and everything is bounded; what the bytes are, it does not know.
package takeout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strings"
)

// ErrFormat is matched by every error about the bytes of a stream.
var ErrFormat = errors.New("malformed export")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Kind is what an entry is.
type Kind byte

// The kinds of entries. Files have content; what is refused is left out.
const (
	Dir     Kind = 'd'
	File    Kind = 'f'
	Refused Kind = 'r'
	end     Kind = 'e'
)

// Limits bound an export. Each is more than zero.
type Limits struct {
	FileBytes  int64 // of one file
	TotalBytes int64 // of all files
	Entries    int   // files, directories and refusals
	Depth      int   // directories in each other, the one that was asked for included
}

// Entry is one thing that was found.
type Entry struct {
	Kind Kind

	// Name is relative to what was asked for, with slashes; "" is that itself. It
	// is below it: no "..", no empty part, no NUL.
	Name string

	// Mode is permissions, of Dir and File: the low nine bits.
	Mode uint32

	// Reason is why it is left out, of Refused.
	Reason string
}

// Bounds of what is said of an entry, in bytes: PATH_MAX and NAME_MAX of Linux
// (limits.h), a sentence, and a chunk of content.
const (
	maxName   = 4096
	maxPart   = 255
	maxReason = 1024
	maxChunk  = 256 << 10
)

// maxTexts bounds what all names and reasons take together, in bytes, as the host
// keeps them until the end.
const maxTexts = 64 << 20

const permissions = 0o777

var order = binary.LittleEndian

// checkName refuses what does not lie below the directory that was asked for, or
// is no name of a file on Linux.
func checkName(name string, depth int) error {
	if name == "" {
		return nil
	}
	if len(name) > maxName || strings.ContainsRune(name, 0) || path.Clean(name) != name || path.IsAbs(name) {
		return malformed("a name that is none")
	}
	parts := strings.Split(name, "/")
	for _, part := range parts {
		if part == "." || part == ".." || len(part) > maxPart {
			return malformed("a name that is none")
		}
	}
	if len(parts) > depth {
		return malformed("a name with more parts than %d", depth)
	}
	return nil
}
