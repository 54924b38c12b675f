package policy

import "fmt"

// rootRule is of the two fields that say what the root directory holds. They are
// one value: nothing, which is the strictest, or a root, or an image, of which
// none is stricter than another.
func rootRule() rule {
	return rule{
		rows: []Rule{
			{"filesystem.root", `"" (nothing) is stricter than any other; two others that differ are an error`},
			{"filesystem.image", "in the place of root: nothing is stricter than an image; two that differ, or one and a root, are an error"},
		},
		merge:  mergeRoots,
		covers: func(a, b *Policy) bool { return rootIsNothing(b) || sameRoot(a, b) },
		diff:   diffRoots,
		values: rootValues,
	}
}

func rootIsNothing(p *Policy) bool { return p.Filesystem.Root == "" && p.Filesystem.Image == "" }

func sameRoot(a, b *Policy) bool {
	return a.Filesystem.Root == b.Filesystem.Root && a.Filesystem.Image == b.Filesystem.Image
}

func mergeRoots(ps *problems, to, a, b *Policy) {
	first, second := a.Filesystem, b.Filesystem
	switch {
	case rootIsNothing(a), rootIsNothing(b):
	case sameRoot(a, b):
		to.Filesystem.Root, to.Filesystem.Image = first.Root, first.Image
	case first.Image == "" && second.Image == "":
		ps.add("filesystem.root", fmt.Sprintf("%s and %s cannot be merged", plain(first.Root), plain(second.Root)), "make them the same, or leave one out")
	case first.Image != "" && second.Image != "":
		ps.add("filesystem.image", fmt.Sprintf("%s and %s cannot be merged", plain(first.Image), plain(second.Image)), "name one image in both")
	default:
		image, root := first.Image+second.Image, first.Root+second.Root
		ps.add("filesystem.image", fmt.Sprintf("%s cannot be merged with filesystem.root %s: each says what the root directory holds", plain(image), plain(root)),
			"name the image in both in the place of the root, or in neither, and with kavach run --image")
	}
}

func diffRoots(from, to *Policy) []Difference {
	fromCovers := rootIsNothing(to) || sameRoot(from, to)
	toCovers := rootIsNothing(from) || sameRoot(from, to)
	before, after := rootValues(from), rootValues(to)
	var list []Difference
	for i, same := range []bool{from.Filesystem.Root == to.Filesystem.Root, from.Filesystem.Image == to.Filesystem.Image} {
		if !same {
			list = append(list, Difference{before[i].Field, before[i].Value, after[i].Value, effect(fromCovers, toCovers)})
		}
	}
	return list
}

func rootValues(p *Policy) []Value {
	f := p.Filesystem
	return []Value{
		{Field: "filesystem.root", Value: textOf("nothing")(f.Root)},
		{Field: "filesystem.image", Value: textOf("none")(f.Image)},
	}
}
