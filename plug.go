package kavach

import (
	"context"
	"fmt"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/workspace"
)

// Audit keeps the record. If a record cannot be written, the act that it
// announces does not happen, and what would have been released is not.
type Audit interface {
	// Record returns after e is as safe as the implementation promises.
	Record(ctx context.Context, e Event) error
}

// Act is what an Event tells of.
type Act string

// The acts that are recorded.
const (
	ActCreate  Act = "create"  // before a backend makes anything
	ActProve   Act = "prove"   // before the sandbox is handed out
	ActExec    Act = "exec"    // before a command starts
	ActRelease Act = "release" // before the first byte of output is let out
	ActResult  Act = "result"  // before the result is returned
	ActPause   Act = "pause"
	ActResume  Act = "resume"
	ActHalt    Act = "halt"    // before every command is ended
	ActApply   Act = "apply"   // before the first change is applied to the host
	ActExport  Act = "export"  // before the first file is put in its place on the host
	ActDestroy Act = "destroy" // after everything is removed
)

// Event is one record. Fields that do not belong to the act are zero. It never
// holds output, and of the environment only the names.
type Event struct {
	Time    time.Time
	Act     Act
	Sandbox string
	Backend string

	Exec    int                // which command of the sandbox, from 1
	Policy  *policy.Policy     // ActCreate
	Score   int                // ActProve
	Image   string             // ActProve: the reference of the image that was opened; empty: none
	Digest  string             // ActProve: of that image, "sha256:…"; empty: nothing was checked
	Args    []string           // ActExec
	EnvKeys []string           // ActExec
	Grants  []credential.Grant // ActExec: the secrets that the command is to be given, and how
	Result  *Result            // ActResult, without Stdout and Stderr
	Digests []Digest           // ActResult: what left
	Changes []workspace.Change // ActApply: what will leave, with digests
	Exports []ExportOutcome    // ActExport: what will leave, with digests, and what will not
	Err     string             // why it failed; empty: it did not
}

// Digest is the SHA-256, in hexadecimal, of what one stream let out.
type Digest struct {
	Stream string
	Bytes  int64
	SHA256 string
}

// WithheldError says that the gate did not let something out that a caller asked for
// itself: memory of a plugin. Of a command's output, and of files, that is no error
// but an outcome.
type WithheldError struct {
	Sandbox string
	Name    string // "memory"
	Report  gate.Report
}

func (e *WithheldError) Error() string {
	return fmt.Sprintf("%s of sandbox %s was withheld: %s", e.Name, e.Sandbox, e.Report.Reason)
}

// Images finds the files of container images. *image.Store of package image is
// one.
type Images interface {
	// Open makes sure that the image that ref names is on this machine, checked
	// and unpacked, and keeps it there until its Release is called. An error names
	// the image, and says what to do.
	Open(ctx context.Context, ref string) (*backend.Image, error)
}

func (r *Runtime) record(ctx context.Context, e Event) error {
	if r.Audit == nil {
		return nil
	}
	e.Time = time.Now()
	if err := r.Audit.Record(ctx, e); err != nil {
		return fmt.Errorf("the audit log did not take the record of %s on sandbox %s, so it does not happen: %w", e.Act, e.Sandbox, err)
	}
	return nil
}
