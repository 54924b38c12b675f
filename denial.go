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

// refusedPath finds what programs print when the kernel refuses a path: the
// text of ENOENT, EACCES, EPERM or EROFS on a line that names an absolute path.
var refusedPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`/[^\s'":,;()<>|*?\x00-\x1f]+`)
})

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
func pathDenials(p *policy.Policy, exit backend.Exit, stderr []byte) []backend.Denial {
	if exit.Code == 0 || p.Filesystem.Root == "" {
		return nil
	}
	var found []backend.Denial
	at := make(map[string]int)
	for _, line := range strings.Split(string(stderr), "\n") {
		errno := refusalOn(line)
		if errno == "" {
			continue
		}
		for _, path := range refusedPath().FindAllString(line, 4) {
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
		d.Hint = "it is read-only in the sandbox; write below /tmp, or use --writable for the root directory"
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
