package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxID is the largest uid or gid; 4294967295 is (uid_t)-1, which system calls
// read as "no id" (credentials(7), setreuid(2)).
const maxID = 4294967294

// maxScore is the largest score there is (package score).
const maxScore = 100

// BackendNames lists the backends that a policy may name, weakest first. It is
// the same list as backend.Names, which this package cannot import; a test of
// package policyfile compares them.
func BackendNames() []string {
	return []string{"noop", "process", "oci", "wasm", "gvisor", "sgx", "sev", "firecracker"}
}

// maxImageID is the largest uid or gid in a container image: images know 16 bits
// of them, and no more of them are mapped.
const maxImageID = 65535

func (ps *problems) process(p *Process, image bool) {
	if image {
		ps.user(p.User, maxImageID)
	} else {
		ps.user(p.User, maxID)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		field := fmt.Sprintf("process.env[%q]", name)
		switch {
		case name == "":
			ps.add(field, "the name of a variable is empty", "give it a name")
		case strings.ContainsAny(name, "=\x00"):
			ps.add(field, `the name of a variable holds "=" or a NUL byte`, "choose another name")
		}
		if strings.ContainsRune(p.Env[name], 0) {
			ps.add(field, "the value holds a NUL byte", "no variable can hold one")
		}
	}
	if p.Workdir != "" {
		ps.path("process.workdir", p.Workdir)
	}
}

func (ps *problems) user(user string, largest uint64) {
	if user == "" {
		return
	}
	uid, gid, both := strings.Cut(user, ":")
	fix := fmt.Sprintf(`write numbers from 0 to %d, such as "1000:1000"`, largest)
	switch {
	case !isID(uid, maxID) || both && !isID(gid, maxID):
		ps.add("process.user", quote(user)+" is neither a uid nor uid:gid", fix)
	case !isID(uid, largest) || both && !isID(gid, largest):
		ps.add("process.user", quote(user)+" is beyond the ids that an image has", fix)
	}
}

// isID reports whether s is a number with one spelling: no sign, no leading 0.
func isID(s string, largest uint64) bool {
	n, err := strconv.ParseUint(s, 10, 32)
	return err == nil && n <= largest && strconv.FormatUint(n, 10) == s
}

func (ps *problems) require(r *Require) {
	if r.MinScore < 0 || r.MinScore > maxScore {
		ps.add("require.min_score", fmt.Sprintf("%d is not a score", r.MinScore), fmt.Sprintf("give a number from 0 to %d", maxScore))
	}
	checkNames(ps, "require.backends", r.Backends, BackendNames())
}

// checkNames checks a list whose items are all known, and each there once.
func checkNames[T ~string](ps *problems, field string, list, known []T) {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !slices.Contains(known, item):
			fix := didYouMean(string(item), names)
			if fix == "" {
				fix = "use " + strings.Join(names, ", ")
			}
			ps.add(at, "unknown name "+quote(string(item)), fix)
		case slices.Index(list, item) < i:
			ps.add(at, quote(string(item))+" is there twice", "remove one")
		}
	}
}
