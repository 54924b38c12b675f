package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// view is what a command meets at one path, worked out with none of the code
// that merges: the last mount of the list that is on the path or above it, as
// the kernel has it.
type view struct {
	host   string // the path on the host; empty: nothing of it
	access string
	rights []string // nil: all
}

func viewAt(p *Policy, at string) view {
	for _, m := range slices.Backward(p.Filesystem.Mounts) {
		target := m.Target
		if target == "" {
			target = m.Source
		}
		if rest, below := strings.CutPrefix(at+"/", target+"/"); below {
			access := m.Access
			if access == "" {
				access = AccessRead
			}
			return view{strings.TrimSuffix(m.Source+"/"+rest, "/"), access, m.Rights}
		}
	}
	switch {
	case p.Filesystem.Image != "":
		return view{p.Filesystem.Image + at, AccessRead, nil}
	case p.Filesystem.Root == "":
		return view{}
	case p.Filesystem.Root != RootHost:
		return view{p.Filesystem.Root + at, AccessRead, nil}
	case strings.HasPrefix(at+"/", "/usr/"), strings.HasPrefix(at+"/", "/etc/"):
		return view{at, AccessRead, nil}
	}
	return view{}
}

// within reports whether whoever has b may do all that a says.
func (a view) within(b view) bool {
	if a.host == "" {
		return true
	}
	order := []string{AccessRead, AccessWrite, AccessDirect}
	for _, right := range a.rights {
		if len(b.rights) > 0 && !slices.Contains(b.rights, right) {
			return false
		}
	}
	return a.host == b.host && slices.Index(order, a.access) <= slices.Index(order, b.access) &&
		(len(b.rights) == 0 || len(a.rights) > 0)
}

// places are where the mounts of arbitraryMounts are, above and below.
var places = []string{"/w", "/w/x", "/w/in", "/w/in/x", "/w/in/deep", "/w/in/deep/x", "/usr/share", "/usr/share/x", "/usr/lib", "/etc", "/etc/app", "/etc/app/x", "/other"}

func TestViews(t *testing.T) {
	law(t, "a merge shows no more than either", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b := related(r, a)
		m, err := Merge(a, b)
		if err != nil {
			return false
		}
		for _, at := range places {
			if v := viewAt(&m, at); !v.within(viewAt(&a, at)) || !v.within(viewAt(&b, at)) {
				t.Errorf("at %s: %+v and %+v give %+v\n%+v\n%+v\n%+v", at, viewAt(&a, at), viewAt(&b, at), v, a.Filesystem, b.Filesystem, m.Filesystem)
			}
		}
		return len(a.Filesystem.Mounts) > 0 && len(b.Filesystem.Mounts) > 0
	})
	law(t, "what is covered shows no more", func(t *testing.T, r *rand.Rand) bool {
		a, b := Policy{}, Policy{}
		a.Filesystem = Filesystem{Root: one(r, "", RootHost, "/srv/root"), Mounts: arbitraryMounts(r), TmpSize: 1}
		b.Filesystem = Filesystem{Root: one(r, "", a.Filesystem.Root), Mounts: fewerMounts(r, a.Filesystem.Mounts), TmpSize: 1}
		if !Covers(a, b) {
			return false
		}
		for _, at := range places {
			if v := viewAt(&b, at); !v.within(viewAt(&a, at)) {
				t.Errorf("at %s: %+v covers %+v\n%+v\n%+v", at, viewAt(&a, at), v, a.Filesystem, b.Filesystem)
			}
		}
		return true
	})
}
