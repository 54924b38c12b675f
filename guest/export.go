package guest

import "strconv"

// ExportName is the argv[1] by which a program knows that it is to export files,
// and ExportPath its argv[0]: a descriptor of the program, whatever is in the files
// of the place.
const (
	ExportName = "kavach-export"
	ExportPath = "/proc/self/fd/3"
)

// CalledToExport reports whether these arguments say so.
func CalledToExport(args []string) bool {
	return len(args) > 1 && args[0] == ExportPath && args[1] == ExportName
}

// Export says what to read, and how much of it at most.
type Export struct {
	Path string

	// Below, where it is not empty, is a directory that no link on the way to Path
	// leads out of.
	Below string

	FileBytes, TotalBytes int64
	Entries, Depth        int
}

// Args are the arguments of a program that does it: it is a command like any
// other, and confined as such.
func (e *Export) Args() []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		ExportPath, ExportName, e.Path, e.Below,
		number(e.FileBytes), number(e.TotalBytes), number(int64(e.Entries)), number(int64(e.Depth)),
	}
}
