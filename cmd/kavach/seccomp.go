package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// seccompNames are the values of --seccomp that are no files.
func seccompNames() []string {
	return []string{policy.SeccompStrict, policy.SeccompDefault, policy.Off}
}

// applySeccomp puts --seccomp in the place of the policy's filters. A file has a
// "/" or a "." in its name, and decides alone.
func (f *runFlags) applySeccomp(p *policy.Policy) error {
	switch {
	case f.seccomp == "":
	case slices.Contains(seccompNames(), f.seccomp):
		p.Seccomp.Profile, p.Seccomp.Files = f.seccomp, nil
	case strings.ContainsAny(f.seccomp, "/."):
		file, err := hostPath("--seccomp", f.seccomp)
		if err != nil {
			return err
		}
		p.Seccomp.Profile, p.Seccomp.Files = policy.Off, []string{file}
	default:
		fix := "use " + strings.Join(seccompNames(), ", ") + ", or a file, as ./" + f.seccomp
		if near := policy.Nearest(f.seccomp, seccompNames()); near != "" {
			fix = fmt.Sprintf("did you mean %q? For a file, write ./%s", near, f.seccomp)
		}
		return usagef(fix, "--seccomp: there is no profile %q", f.seccomp)
	}
	if f.seccompLog {
		p.Seccomp.Mode = policy.SeccompLog
	}
	return nil
}

// enough is the strictest profile of ours that would have refused nothing; "":
// none of them. ENOSYS is no refusal: programs run on kernels without the call.
func enough(needed []backend.Need) string {
	for _, name := range []string{policy.SeccompStrict, policy.SeccompDefault} {
		if !slices.ContainsFunc(needed, func(n backend.Need) bool { return slices.Contains(n.RefusedBy, name) }) {
			return name
		}
	}
	return ""
}

// tellNeeded prints what a log has found.
func tellNeeded(w io.Writer, out paint, res *kavach.Result) {
	if res.Needed == nil {
		fmt.Fprintln(w, out.dim("kavach: seccomp log: nothing was logged"))
		return
	}
	for _, n := range res.Needed {
		fmt.Fprintln(w, out.dim("kavach: "+printable(needText(n))))
	}
	text := "neither default nor strict would have let all of this pass"
	if name := enough(res.Needed); name != "" {
		text = "with --seccomp " + name + " nothing would have been refused"
	}
	fmt.Fprintln(w, out.dim("kavach: seccomp log: "+text))
}

func needText(n backend.Need) string {
	text := "needed system call " + n.Call
	if n.Count > 1 {
		text += fmt.Sprintf(", %d times", n.Count)
	}
	if len(n.RefusedBy) > 0 {
		text += ": refused by " + strings.Join(n.RefusedBy, ", ")
	}
	if len(n.AbsentFrom) > 0 {
		text += ": ENOSYS by " + strings.Join(n.AbsentFrom, ", ") + ", as by an older kernel"
	}
	return text
}
