package jail

import "slices"

// ProcMasked are the files of /proc that nobody in a sandbox is to see, and
// ProcReadonly those that nobody is to write to, for who makes a /proc otherwise
// than by a jail.
func ProcMasked() []string { return slices.Clone(procMasked) }

// ProcReadonly is described at ProcMasked.
func ProcReadonly() []string { return slices.Concat(procReadonly, procRoots) }
