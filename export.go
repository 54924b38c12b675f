package kavach

import (
	"time"

	"github.com/kavach-dev/kavach/internal/takeout"
	"github.com/kavach-dev/kavach/workspace"
)

// Export names a file inside, or a directory with all that is below it, that is to
// be copied to the host.
type Export struct {
	// Path is inside, absolute, or relative to the working directory of the policy.
	// "a/.." is nothing, whatever a is. Links on the way to it are followed, by what
	// they lead to inside; what it names itself is never a link.
	Path string

	// Dest is where it is put on the host. With a slash at its end, or where it is a
	// directory: below that, by the last name of Path. The directory that it is in
	// must be there. Empty: "./".
	Dest string

	// Replace lets a file take the place of another. Directories are never replaced.
	Replace bool

	// Limits bound what is copied.
	Limits ExportLimits
}

// ExportLimits bound one Export. Zero is the default.
type ExportLimits struct {
	FileBytes  int64         // of one file; default 1 GiB
	TotalBytes int64         // of all files; default 4 GiB
	Entries    int           // files, directories and refusals; default 100,000
	Depth      int           // directories in each other; default 64
	Time       time.Duration // to read all of it; default 5 minutes
}

// What an Export may take where nothing is said.
const (
	defaultFileBytes  = 1 << 30
	defaultTotalBytes = 4 << 30
	defaultEntries    = 100_000
	defaultDepth      = 64
	defaultTime       = 5 * time.Minute
)

func (l ExportLimits) effective() ExportLimits {
	return ExportLimits{
		FileBytes: positive(l.FileBytes, defaultFileBytes), TotalBytes: positive(l.TotalBytes, defaultTotalBytes),
		Entries: positive(l.Entries, defaultEntries), Depth: positive(l.Depth, defaultDepth), Time: positive(l.Time, defaultTime),
	}
}

func positive[T int | int64 | time.Duration](n, otherwise T) T {
	if n > 0 {
		return n
	}
	return otherwise
}

func (l ExportLimits) takeout() takeout.Limits {
	return takeout.Limits{FileBytes: l.FileBytes, TotalBytes: l.TotalBytes, Entries: l.Entries, Depth: l.Depth}
}

// ExportState says what became of a file that was to be exported.
type ExportState string

// The states of an ExportOutcome. The zero value is none yet.
const (
	Exported       ExportState = "exported" // it is in its place
	ExportWithheld ExportState = "withheld" // the gate did not let it out
	ExportRefused  ExportState = "refused"  // it cannot be exported, for Reason
)

// ExportOutcome is what became of a file, or of the directory that was asked for.
// Directories below that have none of their own.
type ExportOutcome struct {
	Path   string         `json:"path"` // inside; hostile but for what was asked for
	Dest   string         `json:"dest"` // on the host
	Type   workspace.Type `json:"type"` // File, Dir; empty: it was refused before anybody knew
	Size   int64          `json:"size"`
	SHA256 string         `json:"sha256,omitempty"` // of a file's content
	Mode   uint32         `json:"mode"`             // on the host
	State  ExportState    `json:"state"`
	Reason string         `json:"reason,omitempty"` // why it is not exported; what is said inside may be in it
}
