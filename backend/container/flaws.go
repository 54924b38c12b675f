package container

import "slices"

// flaw is a known weakness of a runtime.
type flaw struct {
	cve string

	// since is the first version that has it. Empty: the first there was.
	since string

	// fixed is the first version without it, of each release line that it was
	// fixed in, in their order. What is newer than the last never had it.
	fixed []string

	// means is what somebody can do by it.
	means string

	// unused says why no use that Kavach makes of a runtime leads to it. Empty:
	// what stands in its way is that the runtime has no right on the host.
	unused string
}

const (
	notExec     = "Kavach starts no command by way of the runtime's exec"
	notRestored = "Kavach restores no containers"
	notKrun     = "Kavach does not use crun as krun"
)

// flaws are the known ones of each runtime, by the name that it tells. Sources
// are the changelogs and releases of github.com/opencontainers/runc and
// github.com/containers/crun up to November 2026.
var flaws = map[string][]flaw{
	"runc": {
		{cve: "CVE-2019-5736", fixed: []string{"1.0.0-rc7"}, means: "a container overwrites the runtime itself by way of /proc/self/exe"},
		{cve: "CVE-2019-16884", fixed: []string{"1.0.0-rc9"}, means: "an image mounts over /proc, and no security label is set"},
		{cve: "CVE-2019-19921", fixed: []string{"1.0.0-rc10"}, means: "two containers that share a volume swap /proc while it is mounted"},
		{cve: "CVE-2021-30465", fixed: []string{"1.0.0-rc95"}, means: "a mount's target is swapped for a link, and the host's files are mounted"},
		{cve: "CVE-2021-43784", fixed: []string{"1.0.3"}, means: "a length that overflows lets a configuration change how namespaces are made"},
		{cve: "CVE-2022-29162", fixed: []string{"1.1.2"}, means: "runc exec gives inheritable capabilities", unused: notExec},
		{cve: "CVE-2023-25809", fixed: []string{"1.1.5"}, means: "a rootless container without a cgroup namespace writes to the user's cgroups"},
		{cve: "CVE-2023-27561", since: "1.0.0-rc95", fixed: []string{"1.1.5"}, means: "CVE-2019-19921 again: /proc is swapped while it is mounted"},
		{cve: "CVE-2023-28642", fixed: []string{"1.1.5"}, means: "an image whose /proc is a link gets by AppArmor and SELinux"},
		{cve: "CVE-2024-21626", since: "1.0.0-rc93", fixed: []string{"1.1.12"}, means: "a descriptor that leaks makes a working directory on the host"},
		{cve: "CVE-2024-45310", fixed: []string{"1.1.14", "1.2.0-rc.3"}, means: "empty files and directories are made on the host"},
		{cve: "CVE-2025-31133", fixed: []string{"1.2.8", "1.3.3", "1.4.0-rc.3"}, means: "/dev/null is swapped for a link, and a masked file of /proc can be written to"},
		{cve: "CVE-2025-52565", since: "1.0.0-rc3", fixed: []string{"1.2.8", "1.3.3", "1.4.0-rc.3"}, means: "/dev/pts/N is swapped for a link, and a file of /proc can be written to as /dev/console"},
		{cve: "CVE-2025-52881", fixed: []string{"1.2.8", "1.3.3", "1.4.0-rc.3"}, means: "the runtime's own writes to /proc are led to other files there"},
		{cve: "CVE-2026-41579", fixed: []string{"1.3.6", "1.4.3", "1.5.0-rc.3"}, means: "an image whose /dev is a link has a few things written on the host"},
		{cve: "CVE-2026-119101", fixed: []string{"1.3.7", "1.4.4", "1.5.3", "1.6.0-rc.2"}, means: "an image has a directory of the host mounted when it is restored", unused: notRestored},
	},
	"crun": {
		{cve: "CVE-2019-18837", fixed: []string{"0.10.5"}, means: "an image's links lead mounts to files of the host"},
		{cve: "CVE-2022-27650", fixed: []string{"1.4.4"}, means: "crun exec gives inheritable capabilities", unused: notExec},
		{cve: "CVE-2025-24965", fixed: []string{"1.20"}, means: "an image has krun write its configuration to a file of the host", unused: notKrun},
		{cve: "CVE-2026-30892", since: "1.19", fixed: []string{"1.27"}, means: "crun exec --user 1 runs as root", unused: notExec},
		{cve: "CVE-2026-84042", fixed: []string{"1.30"}, means: "krun with passt runs a program of the container's without confinement", unused: notKrun},
		{cve: "CVE-2026-88264", fixed: []string{"1.30"}, means: "an image whose /dev/console is a link has a file made on the host"},
		{cve: "CVE-2026-88265", fixed: []string{"1.30"}, means: "an image whose /dev/null is a link has a file that is mounted written to"},
		{cve: "CVE-2026-115520", fixed: []string{"1.31"}, means: "an image has a path of the host mounted when it is restored", unused: notRestored},
		{cve: "CVE-2026-115521", fixed: []string{"1.31"}, means: "an image leads the read-only remount of its root to another mount, and the root stays writable"},
	},
}

// flawsOf are the known flaws of a runtime of this version.
func flawsOf(name string, v version) []flaw {
	return slices.DeleteFunc(slices.Clone(flaws[name]), func(f flaw) bool { return !f.affects(v) })
}

// affects reports whether a version has the flaw, unless somebody has patched it
// without changing the version, as distributions do.
func (f *flaw) affects(v version) bool {
	if f.since != "" && v.compare(mustVersion(f.since)) < 0 {
		return false
	}
	for _, text := range f.fixed {
		if fixed := mustVersion(text); v.line(fixed) {
			return v.compare(fixed) < 0
		}
	}
	return v.compare(mustVersion(f.fixed[len(f.fixed)-1])) < 0
}

// mustVersion is for the table, which a test reads whole.
func mustVersion(text string) version {
	v, err := parseVersion(text)
	if err != nil {
		panic(err)
	}
	return v
}
