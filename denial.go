package kavach

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// maxPathDenials bounds how many paths are looked up for one command: what is
// looked through was written by code that nobody trusts.
const maxPathDenials = 16

// maxPathsOnLine is how many paths of one line are looked up: programs name the
// one that was refused, and at times themselves.
const maxPathsOnLine = 4

// Programs name what the kernel refused them on one line with the text of the
// error. A path holds none of the characters that stand around paths there.
const pathText = `[^\s'"‘’:,;()<>|*?\x00-\x1f]+`

// absolutePath finds the absolute paths on such a line.
var absolutePath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[\s'"‘:,;(<=\[])(/` + pathText + `)`)
})

// relativePaths find a relative one where programs have it: in quotes, at the
// end of the line (python, node) or before the error (ls); or else as the last
// word before the error (cat, sh). Any other word could be one as well.
var relativePaths = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`['"‘](` + pathText + `)['"’](?::[^:]*)?$`),
		regexp.MustCompile(`[\s:](` + pathText + `): [^:]*$`),
	}
})

// pathsOn are the paths on a line; what is relative is below dir.
func pathsOn(line, dir string) []string {
	var found []string
	for _, m := range absolutePath().FindAllStringSubmatch(line, maxPathsOnLine) {
		found = append(found, m[1])
	}
	for _, expr := range relativePaths() {
		if m := expr.FindStringSubmatch(line); m != nil {
			if !filepath.IsAbs(m[1]) {
				found = append(found, filepath.Join(dir, m[1]))
			}
			break
		}
	}
	return found
}

var refusals = []struct{ text, errno string }{
	{"no such file or directory", "ENOENT"},
	{"cannot find", "ENOENT"},
	{"can't find", "ENOENT"},
	{"permission denied", "EACCES"},
	{"operation not permitted", "EACCES"},
	{"read-only file system", "EROFS"},
}

// pathDenials reads the end of what a failed command wrote to stderr, and says
// for each path that the kernel refused there and that exists on the host which
// flag would show it. The kernel tells nobody of refused paths, so what the
// program says is all the evidence there is, and it is used for a hint only.
// Dir is where the command was started.
func pathDenials(p *policy.Policy, exit backend.Exit, dir string, stderr []byte) []backend.Denial {
	if exit.Code == 0 || p.Filesystem.Root == "" && p.Filesystem.Image == "" {
		return nil
	}
	var found []backend.Denial
	at := make(map[string]int)
	for _, line := range strings.Split(string(stderr), "\n") {
		errno := refusalOn(line)
		if errno == "" {
			continue
		}
		for _, path := range pathsOn(strings.TrimRight(line, "\r"), dir) {
			path = filepath.Clean(strings.TrimRight(path, ".]}`’"))
			if i, seen := at[path]; seen {
				found[i].Count++
				continue
			}
			d, ok := explainPath(p, path, errno)
			if !ok || len(found) == maxPathDenials {
				continue
			}
			at[path] = len(found)
			found = append(found, d)
		}
	}
	return found
}

func refusalOn(line string) string {
	lower := strings.ToLower(line)
	for _, r := range refusals {
		if strings.Contains(lower, r.text) || strings.Contains(line, r.errno) {
			return r.errno
		}
	}
	return ""
}

// explainPath makes a denial of a path that exists on the host.
func explainPath(p *policy.Policy, path, errno string) (backend.Denial, bool) {
	d := backend.Denial{Kind: "path", Target: path, Rule: string(policy.RootPivoted), Count: 1}
	if errno == "EROFS" {
		d.Rule = string(policy.RootReadonly)
		d.Hint = "it is read-only in the sandbox; write below /tmp, or use --rw for a directory of the host, or --writable for the root directory"
		return d, true
	}
	if _, err := os.Lstat(path); err != nil || path == "/" {
		return d, false
	}
	if errno == "ENOENT" {
		if visible(p, path) {
			return d, false // the name of the program that complains, as a rule
		}
		d.Hint = "it exists on the host and is not visible in the sandbox; --volume " + path + ":" + path + ":ro shows it"
		return d, true
	}
	if p.Filesystem.Image != "" && !visible(p, path) {
		return d, false // it is the image's own
	}
	d.Rule = string(policy.NSUser)
	d.Hint = "the sandbox's user may not do this to it on the host either; check its owner and mode, or show a copy with --volume"
	return d, true
}

// visible reports whether the sandbox shows what the host has at path.
func visible(p *policy.Policy, path string) bool {
	var shown []string
	if p.Filesystem.Root == policy.RootHost {
		shown = append(policy.HostDirs(), "/proc", "/dev", "/tmp")
	}
	for _, m := range p.Filesystem.Mounts {
		shown = append(shown, m.Source)
	}
	for _, dir := range shown {
		if path == dir || strings.HasPrefix(path, dir+"/") && dir != "/tmp" {
			return true
		}
	}
	return false
}
