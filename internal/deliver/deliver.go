// Package deliver puts files and directories in their place on the host at once, or
// not at all. What is not ready has no name, or one that nobody knows, in the
// directory that it is to be in, which is opened once and held.
//
// What this package does not protect: who else can write to that directory can do
// there what they like, before and after. A directory that is half made when the
// program is killed is found by its name (.kavach-export-…), and removed by the
// next export to the same place; a file leaves nothing where the file system has
// files without names (O_TMPFILE).
package deliver

import "fmt"

// RefusedError is why something is not put in its place, where it is the place's
// fault.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refused(format string, args ...any) error {
	return &RefusedError{fmt.Sprintf(format, args...)}
}

// DirMode is the mode of a directory in its place.
const DirMode = 0o755

// Mode is what a file gets on the host: it can be executed or not, and nothing
// else of what it was inside.
func Mode(inside uint32) uint32 {
	const plainFile, program, execute = 0o644, 0o755, 0o111
	if inside&execute != 0 {
		return program
	}
	return plainFile
}
