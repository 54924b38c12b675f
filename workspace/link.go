package workspace

import (
	"path"
	"strings"
)

// refuseTarget says why a link at p is not applied, by the text of its target
// alone. ".." may stand at its beginning only: there it means the directories
// that the link is in, which are no links themselves. Further on it would be
// taken from wherever a link in between has led.
//
// That is not enough: the host may have links of its own in the workspace that
// lead out of it, and by one of them so would a harmless text. Apply asks the
// kernel as well, when everything that comes before is in place.
func refuseTarget(p, target string) string {
	up, down, depth := 0, false, strings.Count(p, "/")
	if target == "" || strings.HasPrefix(target, "/") {
		return "a link is applied only where its target is relative"
	}
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "..":
			up++
			if down {
				return `a link is applied only where ".." is at the beginning of its target`
			}
		case part != "" && part != ".":
			down = true
		}
	}
	if up > depth {
		return "it leads out of the workspace"
	}
	return ""
}

// targetPath is where a link at p leads, by its text.
func targetPath(p, target string) string { return path.Join(path.Dir(p), target) }
