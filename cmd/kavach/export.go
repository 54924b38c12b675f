package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/deliver"
	"github.com/kavach-dev/kavach/policy"
)

// exportFlags are the flags of kavach run that are about files to copy out.
type exportFlags struct {
	export        []string
	exportReplace bool
}

func (f *exportFlags) registerExport(fs *flags) {
	fs.Texts(&f.export, "export", "", "PATH[:DEST]", "when the command has ended by itself, copy a file or directory of the sandbox to DEST (default: the current directory)", nil)
	fs.Bool(&f.exportReplace, "export-replace", "", "let files of --export take the place of others")
}

// wanted is what --export asks for.
func (f *exportFlags) wanted() []kavach.Export {
	var all []kavach.Export
	for _, text := range f.export {
		from, to, _ := strings.Cut(text, ":")
		all = append(all, kavach.Export{Path: from, Dest: to, Replace: f.exportReplace})
	}
	return all
}

// applyExport looks before the command runs whether its files can be put where they
// are wanted: it may run for long.
func (f *exportFlags) applyExport(*policy.Policy) error {
	if f.exportReplace && len(f.export) == 0 {
		return usagef("add --export PATH", "--export-replace is about --export, and there is none")
	}
	for i, e := range f.wanted() {
		if e.Path == "" {
			return usagef("write --export PATH, or --export PATH:DEST", "--export %q names no file", f.export[i])
		}
		if e.Dest == "" {
			e.Dest = "./"
		}
		place, err := deliver.Open(e.Dest, path.Base(path.Clean(e.Path)), e.Replace)
		if err != nil {
			return usagef("", "--export %s: %v", f.export[i], err)
		}
		if err := place.Close(); err != nil {
			return err
		}
	}
	return nil
}

// exports copies files out, before the sandbox is halted. Nothing is copied unless
// the command ended by itself: what one that was killed leaves is half done.
func (f *exportFlags) exports(stop *stopper, sb *kavach.Sandbox, res *kavach.Result) ([]kavach.ExportOutcome, error) {
	list := f.wanted()
	if len(list) == 0 {
		return nil, nil
	}
	if why := whyUnfinished(stop, res); why != "" {
		var out []kavach.ExportOutcome
		for _, e := range list {
			out = append(out, kavach.ExportOutcome{Path: e.Path, Dest: e.Dest, State: kavach.ExportRefused, Reason: why})
		}
		return out, nil
	}
	out, err := sb.Export(stop.ctx, list)
	if err != nil {
		return nil, stop.instead(err)
	}
	return out, nil
}

// tellExports says what was not copied out, and why.
func tellExports(w *os.File, outcomes []kavach.ExportOutcome, verbose bool) {
	out := newPaint(w)
	told, exported := 0, 0
	for _, o := range outcomes {
		if o.State == kavach.Exported {
			exported++
			continue
		}
		if told++; told <= maxTold {
			fmt.Fprintln(w, out.dim(fmt.Sprintf("kavach: not exported: %s: %s", printable(o.Path), printable(o.Reason))))
		}
	}
	if told > maxTold {
		fmt.Fprintln(w, out.dim(fmt.Sprintf("kavach: and %d more; --json lists all", told-maxTold)))
	}
	if verbose && len(outcomes) > 0 {
		fmt.Fprintf(w, "%s %d of %d\n", out.dim("exported "), exported, len(outcomes))
	}
}

// codeWithExports is the exit code of a run: the command's own, unless that is 0 and
// something that was to be exported was not.
func codeWithExports(code int, outcomes []kavach.ExportOutcome) int {
	left := func(o kavach.ExportOutcome) bool { return o.State != kavach.Exported }
	if code == 0 && slices.ContainsFunc(outcomes, left) {
		return codeWithheld
	}
	return code
}
