package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// applyVolumes adds what --volume names to what the policy shows.
func (f *runFlags) applyVolumes(p *policy.Policy) error {
	for _, v := range f.volumes {
		m, err := parseVolume(v)
		if err != nil {
			return err
		}
		p.Filesystem.Mounts = append(withoutTarget(p.Filesystem.Mounts, m.Target), m)
	}
	return nil
}

// volumeOptions are what may stand behind the second colon of --volume.
var volumeOptions = map[string]string{
	"ro": policy.AccessRead, "rw": policy.AccessWrite, "rw,direct": policy.AccessDirect, "direct,rw": policy.AccessDirect,
}

// parseVolume reads SRC:DST[:ro|:rw|:rw,direct].
func parseVolume(v string) (policy.Mount, error) {
	const form = "write SRC:DST, SRC:DST:rw or SRC:DST:rw,direct"
	parts := strings.Split(v, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return policy.Mount{}, usagef(form, "--volume %q: it is not SRC:DST[:ro|:rw|:rw,direct]", v)
	}
	access := "" // ro
	if len(parts) == 3 && parts[2] != policy.AccessRead {
		if access = volumeOptions[parts[2]]; access == "" {
			return policy.Mount{}, usagef(form, "--volume %q: there is no option %q", v, parts[2])
		}
	}
	if !filepath.IsAbs(parts[1]) {
		return policy.Mount{}, usagef(`begin it with "/"`, "--volume %q: the path inside, %q, is not absolute", v, parts[1])
	}
	if climbs(parts[1]) {
		return policy.Mount{}, usagef("name the directory itself", "--volume %q: the path inside, %q, holds \"..\"", v, parts[1])
	}
	source, err := hostPath("--volume", parts[0])
	if err != nil {
		return policy.Mount{}, err
	}
	return policy.Mount{Source: source, Target: filepath.Clean(parts[1]), Access: access}, nil
}

func withoutTarget(mounts []policy.Mount, target string) []policy.Mount {
	return slices.DeleteFunc(slices.Clone(mounts), func(m policy.Mount) bool { return m.SeenAt() == target })
}

// systemDirs are visible in any case, where the root is the host's.
var systemDirs = policy.HostDirs()

// applyWorkdir shows the current directory at its own path and starts there,
// unless that would show a home, or what each sandbox has of its own. Of an image
// nothing is shown but what was named, and where to start is for the image to say.
func (j *job) applyWorkdir(p *policy.Policy) error {
	cwd, err := currentDir()
	if err != nil {
		return err
	}
	start := cwd
	named := slices.ContainsFunc(p.Filesystem.Mounts, func(m policy.Mount) bool {
		return m.Access == policy.AccessWrite && under(cwd, m.SeenAt())
	})
	switch {
	case named: // whatever it is
	case p.Filesystem.Image != "":
		start = ""
		j.notes = append(j.notes, fmt.Sprintf("the current directory %s is not shown beside an image; --rw and --volume show what is named", cwd))
	case under(cwd, "/proc", "/dev", "/sys"):
		return usagef("change to another directory first", "the current directory %s cannot be shown in a sandbox, which has its own of it", cwd)
	case p.Filesystem.Root == policy.RootHost && under(cwd, systemDirs...):
	case keptBack(cwd), under(cwd, systemDirs...):
		start = "/tmp" // which is there, and empty, in each sandbox
		j.notes = append(j.notes, fmt.Sprintf("the current directory %s is not shown, since all of it would be; --volume shows what is named", cwd))
	default:
		// First, so that what is mounted in it is mounted after it.
		if !slices.ContainsFunc(p.Filesystem.Mounts, func(m policy.Mount) bool { return under(cwd, m.SeenAt()) }) {
			p.Filesystem.Mounts = append([]policy.Mount{{Source: cwd}}, p.Filesystem.Mounts...)
		}
	}
	if j.workdir != "" {
		if !filepath.IsAbs(j.workdir) {
			return usagef("give an absolute path", "--workdir %s is not absolute", j.workdir)
		}
		if climbs(j.workdir) {
			return usagef("name the directory itself", "--workdir %s holds \"..\"", j.workdir)
		}
		start = filepath.Clean(j.workdir)
	}
	if p.Process.Workdir == "" || j.workdir != "" {
		p.Process.Workdir = start
	}
	return nil
}

// currentDir is the path of the current directory without symbolic links: the
// one that it has whoever looks.
func currentDir() (string, error) {
	cwd, err := os.Getwd()
	if err == nil {
		cwd, err = filepath.EvalSymlinks(cwd)
	}
	if err != nil {
		return "", usagef("change to a directory that exists", "the current directory is gone or cannot be read: %v", reason(err))
	}
	return cwd, nil
}

// keptBack reports whether dir is one that is shown only where it is named: a
// home or what holds one; the host's /etc and /tmp, of which a sandbox has its
// own; /run, where the sockets of services are.
func keptBack(dir string) bool {
	homes := []string{"/home", "/root"}
	if home, err := filepath.EvalSymlinks(os.Getenv("HOME")); err == nil && filepath.IsAbs(home) {
		homes = append(homes, home)
	}
	for _, home := range homes {
		if under(home, dir) {
			return true
		}
	}
	return filepath.Dir(dir) == "/home" || dir == "/etc" || dir == "/tmp" || under(dir, "/run")
}

// under reports whether path is one of dirs, or below one.
func under(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
	})
}
