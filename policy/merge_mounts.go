package policy

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// HostDirs are the directories of the host that a root "host" shows, where the
// host has them.
func HostDirs() []string {
	return []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
}

// mountRule merges what is shown: by the place where it is seen, because that
// is what a command knows. Sources are compared as texts: a link that makes two
// of them the same is not seen here.
func mountRule() rule {
	return rule{
		rows: []Rule{
			{"filesystem.mounts", "what both show at the same target, parents first; what only one shows is not shown, and is an error where leaving it out would uncover other files"},
			{"filesystem.mounts.source", "no order: two that differ are an error"},
			{"filesystem.mounts.target", "by it, mounts are the same"},
			{"filesystem.mounts.access", "the first of ro, rw, direct; rw becomes ro where tmp_size becomes zero"},
			{"filesystem.mounts.rights", "what both name, where empty is all; nothing in common: the mount is not shown"},
		},
		merge:  mergeMounts,
		covers: mountsCovered,
		diff:   diffMounts,
		values: mountValues,
	}
}

func mergeMounts(ps *problems, to, a, b *Policy) {
	inA, inB := mountsSeen(a), mountsSeen(b)
	unchanged := min(a.Filesystem.TmpSize, b.Filesystem.TmpSize) == 0
	var left [][2]Mount // what the result does not show
	for _, target := range targetsOf(inA, inB) {
		first, shownA := inA[target]
		second, shownB := inB[target]
		if !shownA || !shownB {
			left = append(left, [2]Mount{first, second})
			continue
		}
		if first.Source != second.Source {
			ps.add(mountField(target)+".source", fmt.Sprintf("%s and %s cannot be merged", quote(first.Source), quote(second.Source)),
				"make them the same, or leave one out")
			continue
		}
		m, some := mergeMount(first, second, unchanged)
		if some {
			to.Filesystem.Mounts = append(to.Filesystem.Mounts, m)
		} else {
			left = append(left, [2]Mount{first, second})
		}
	}
	seen := mountsSeen(to)
	for _, pair := range left {
		for _, m := range pair {
			if m.Source != "" && uncovers(to, seen, m) {
				ps.add(mountField(m.SeenAt()), "the policies do not both show "+quote(m.Source)+" there, and without it other files would be seen",
					"show it in both, with rights in common, or in neither")
				break
			}
		}
	}
}

// mergeMount is what two mounts of one source at one target have in common;
// false: nothing. Where no change can be kept, none can be made.
func mergeMount(a, b Mount, unchanged bool) (Mount, bool) {
	m := a
	if accessRank(b) < accessRank(a) {
		m.Access = b.Access
	}
	if unchanged && m.Access == AccessWrite {
		m.Access = AccessRead
	}
	m.Rights = slices.Clone(sorted(a.Rights))
	if len(a.Rights) == 0 {
		m.Rights = sorted(b.Rights)
	} else if len(b.Rights) > 0 {
		m.Rights, _ = intersection(sorted(a.Rights), b.Rights)
		return m, len(m.Rights) > 0
	}
	return m, true
}

// accessRank is 0 for the strictest access.
func accessRank(m Mount) int {
	return slices.Index([]string{AccessRead, AccessWrite, AccessDirect}, cmp.Or(m.Access, AccessRead))
}

// narrower reports whether b allows no more than a below the same source.
func narrower(a, b Mount) bool {
	if accessRank(b) > accessRank(a) {
		return false
	}
	common, _ := intersection(b.Rights, a.Rights)
	return len(a.Rights) == 0 || len(b.Rights) > 0 && len(common) == len(b.Rights)
}

// uncovers reports whether the root of p and the mounts seen in it, without the
// mount m, show at m's target anything that m did not show there.
func uncovers(p *Policy, seen map[string]Mount, m Mount) bool {
	target := m.SeenAt()
	for dir := range above(target) {
		if over, ok := seen[dir]; ok {
			same := over.Source+strings.TrimPrefix(target, dir) == m.Source
			return !same || !narrower(m, over)
		}
	}
	switch {
	case rootIsNothing(p):
		return false
	case p.Filesystem.Root == RootHost:
		same := m.Source == target && len(m.Rights) == 0
		return isBelow(target, append(HostDirs(), "/etc")...) && !same
	}
	return true
}

func mountsCovered(a, b *Policy) bool {
	inA, inB := mountsSeen(a), mountsSeen(b)
	for target, m := range inB {
		if wider, ok := inA[target]; !ok || wider.Source != m.Source || !narrower(wider, m) {
			return false
		}
	}
	for target, m := range inA {
		if _, ok := inB[target]; !ok && uncovers(b, inB, m) {
			return false
		}
	}
	return true
}

func diffMounts(from, to *Policy) []Difference {
	before, after := mountsSeen(from), mountsSeen(to)
	var list []Difference
	for _, target := range targetsOf(before, after) {
		old, was := before[target]
		now, is := after[target]
		d := Difference{Field: mountField(target), From: "not shown", To: "not shown"}
		switch {
		case was && is:
			list = append(list, diffMount(d.Field, old, now)...)
			continue
		case was:
			d.From, d.Effect = old.words(), effect(!uncovers(to, after, old), false)
		default:
			d.To, d.Effect = now.words(), effect(false, !uncovers(from, before, now))
		}
		list = append(list, d)
	}
	return list
}

func mountValues(p *Policy) []Value {
	seen := mountsSeen(p)
	var list []Value
	for _, target := range targetsOf(seen, nil) {
		list = append(list, Value{Field: mountField(target), Value: seen[target].words()})
	}
	if len(list) == 0 {
		list = append(list, Value{Field: "filesystem.mounts", Value: "none"})
	}
	return list
}

// diffMount compares two mounts at one target.
func diffMount(field string, from, to Mount) []Difference {
	var list []Difference
	if from.Source != to.Source {
		list = append(list, Difference{Field: field + ".source", From: plain(from.Source), To: plain(to.Source), Effect: Different})
	}
	access := Difference{
		Field: field + ".access", From: from.access(), To: to.access(),
		Effect: effect(accessRank(to) <= accessRank(from), accessRank(from) <= accessRank(to)),
	}
	from.Access, to.Access = "", "" // what is left are the rights
	rights := Difference{
		Field: field + ".rights", From: listText(from.Rights, "all"), To: listText(to.Rights, "all"),
		Effect: effect(narrower(from, to), narrower(to, from)),
	}
	return append(append(list, access.unless(Same)...), rights.unless(Same)...)
}

func (m Mount) access() string { return cmp.Or(m.Access, AccessRead) }

// words is a mount in a few words: "/srv/data, ro".
func (m Mount) words() string {
	text := plain(m.Source) + ", " + m.access()
	if len(m.Rights) > 0 {
		text += ", rights " + listText(m.Rights, "")
	}
	return text
}

// mountsSeen has the mounts of p by target. Mounts are made in the order of the
// list, so one is hidden by a later one on a directory above it.
func mountsSeen(p *Policy) map[string]Mount {
	later := make(map[string]bool)
	seen := make(map[string]Mount)
	for _, m := range slices.Backward(p.Filesystem.Mounts) {
		hidden := false
		for dir := range above(m.SeenAt()) {
			hidden = hidden || later[dir]
		}
		if later[m.SeenAt()] = true; !hidden {
			seen[m.SeenAt()] = m
		}
	}
	return seen
}

// above are the directories above a target, the nearest first, but for "/".
func above(target string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(target, '/'); i > 0; i = strings.LastIndexByte(target[:i], '/') {
			if !yield(target[:i]) {
				return
			}
		}
	}
}

// targetsOf are all targets, parents first.
func targetsOf(a, b map[string]Mount) []string {
	return sorted(slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))))
}

// isBelow reports whether target is one of dirs, or below one.
func isBelow(target string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return target == dir || strings.HasPrefix(target, dir+"/")
	})
}

func mountField(target string) string { return fmt.Sprintf("filesystem.mounts[%q]", target) }
