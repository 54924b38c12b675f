// Package workspace lists what a sandbox made of a directory, and applies it.
//
// The directory (the base) stays as it was while commands run; what they change
// is in the upper directory of an overlay. When nothing runs any more, Diff
// compares the two, somebody looks at the list, and Apply carries out what they
// let through, file by file:
//
//	w := &workspace.Workspace{Base: base, Upper: upper, Since: made, MaxBytes: size}
//	changes, err := w.Diff(ctx)
//	…
//	outcomes := w.Apply(ctx, changes, named)
//
// Everything in the upper directory is hostile, and so may be the base by then:
// both are walked by descriptor, no symbolic link is followed, no other mount is
// entered, and each file must still be what it was when it was listed.
//
// What this package does not protect: whoever works on what was applied. A
// build file or a test that was changed does what it says when it is run; only
// what programs run or obey unasked is protected (see Protected). Between the
// last look at a file and the rename over it there are microseconds in which
// another program's write to it would be lost.
package workspace

import (
	"cmp"
	"os"
	"time"
)

// Kind says what became of a path.
type Kind string

// The kinds of changes.
const (
	Added    Kind = "added"    // it was not there
	Modified Kind = "modified" // its content, its target or its type is another
	Deleted  Kind = "deleted"  // it is not there any more
	Mode     Kind = "mode"     // its permissions are others, and nothing else
)

// Type is the type of a file.
type Type string

// The types of files.
const (
	File    Type = "file"
	Dir     Type = "dir"
	Symlink Type = "symlink"
	Special Type = "special" // a device, a fifo, a socket
)

// Change is one path that is not what it was.
type Change struct {
	// Mount is the directory on the host, as the policy names it. Empty where
	// Diff was called directly.
	Mount string `json:"mount,omitempty"`

	// Path is relative to it, with slashes. It holds any byte but NUL: quote it.
	Path string `json:"path"`

	// Raw is Path where that is not UTF-8, which JSON cannot hold; else nil.
	Raw []byte `json:"path_base64,omitempty"`

	Kind Kind `json:"kind"`

	// Type is that of the new file; of a deleted one, the old file's.
	Type Type `json:"type"`

	// Mode is the permissions that it gets, at most 0777. Setuid, setgid and
	// sticky are never applied; Dropped says which were there, as in ls: "s",
	// "t". Zero for what is deleted, and for symbolic links.
	Mode    uint32 `json:"mode,omitempty"`
	Dropped string `json:"dropped,omitempty"`

	// Size is in bytes, and SHA256 the hexadecimal digest of a file's content.
	// Of other types they are empty.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`

	// Target is where a symbolic link leads.
	Target string `json:"target,omitempty"`

	// Protected says why this is applied only where it is named. Empty: it is
	// not protected.
	Protected string `json:"protected,omitempty"`

	// Refused says why this is never applied. Empty: nothing is known against
	// it.
	Refused string `json:"refused,omitempty"`

	base     identity // what is there on the host, where something is
	conflict bool     // Refused is a conflict with what the host did meanwhile
	listed   bool     // by Diff, and not made by hand
	withheld string   // why a gate is against it
}

// identity says which file is meant, and in what state.
type identity struct {
	dev, ino     uint64
	mode         uint32 // 0: there is none
	uid, gid     uint32
	links        uint64
	size         int64
	mtime, ctime time.Time
}

// State says what became of a change.
type State string

// The states of a change after Apply.
const (
	Applied   State = "applied"
	Protected State = "protected" // it is protected, and was not named
	Refused   State = "refused"   // it is of a kind that is never applied
	Conflict  State = "conflict"  // the host's file is not what it was
	Withheld  State = "withheld"  // a gate did not let it out
	Failed    State = "failed"    // the kernel did not let Apply do it
	Skipped   State = "skipped"   // Apply was cancelled before it
)

// Outcome is what became of one change.
type Outcome struct {
	Change
	State State `json:"state"`

	// Reason says why it is not applied.
	Reason string `json:"reason,omitempty"`
}

// Verdict says whether Apply will try to apply c, with what was named, and why
// not: Applied, or Protected, Conflict, Refused or Withheld.
func (c *Change) Verdict(named []string) (State, string) {
	switch {
	case !c.listed:
		return Refused, "it was not listed by Diff"
	case c.conflict:
		return Conflict, c.Refused
	case c.Refused != "":
		return Refused, c.Refused
	case c.Protected != "" && !isNamed(c.Path, named):
		return Protected, c.Protected
	case c.withheld != "":
		return Withheld, c.withheld
	}
	return Applied, ""
}

// Withhold keeps Apply from applying c, for a reason that is not empty.
func (c *Change) Withhold(reason string) { c.withheld = cmp.Or(reason, "no reason was given") }

// Workspace is one directory and what was made of it. Diff and Apply are not to
// be called at once, nor while something can still write to Upper.
type Workspace struct {
	// Base is the directory on the host, and Upper that of the overlay. O_PATH
	// is enough.
	Base, Upper *os.File

	// Since is a moment before the overlay was made. What was changed on the
	// host after it is a conflict.
	Since time.Time

	// MaxBytes bounds the content of all files that are added or modified, as
	// they will be on the host: a file with holes is larger there than in a
	// bounded overlay. A file beyond it is refused.
	MaxBytes int64

	modes map[string]uint32 // of what Diff had to make readable
}

// Bounds on what a sandbox can make Diff do. A real tree stays far below.
const (
	maxChanges = 1 << 20
	maxDepth   = 128 // each level holds two descriptors
	maxPath    = 4095
)

// LimitError says that there are more changes than anybody could look through.
type LimitError struct{ What string }

func (e *LimitError) Error() string {
	return "list the changes: " + e.What + "; nothing is applied"
}
