package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func (ps *problems) filesystem(f *Filesystem) {
	switch {
	case f.Root == "" || f.Root == RootHost:
	case f.Root == "/":
		ps.add("filesystem.root", `the root directory of the host cannot be the root of a sandbox`, `use "host"`)
	case !path.IsAbs(f.Root):
		fix := didYouMean(f.Root, []string{RootHost})
		if fix == "" {
			fix = `use "host" or an absolute path`
		}
		ps.add("filesystem.root", quote(f.Root)+` is neither "host" nor an absolute path`, fix)
	default:
		ps.path("filesystem.root", f.Root)
	}
	ps.image(f)
	ps.mounts(f.Mounts)
	switch {
	case f.TmpSize == Unlimited:
		ps.add("filesystem.tmp_size", "writable places are always bounded", "give a size, such as 256m")
	case f.TmpSize < 0:
		ps.add("filesystem.tmp_size", fmt.Sprintf("%d is negative", f.TmpSize), "give a size, such as 256m")
	case f.Writable && f.TmpSize == 0:
		ps.add("filesystem.writable", "a writable root needs a bound", "set filesystem.tmp_size, such as 256m")
	}
	ps.oneOf("filesystem.landlock", f.Landlock, On, Off)
	ps.workspaces(f)
}

// maxImage bounds a reference: PATH_MAX, and the form, name (255 bytes) and tag
// (128) that can stand around a path.
const maxImage = maxPath + 512

// image checks what can be seen without knowing registries and archives; what a
// reference means is for package image.
func (ps *problems) image(f *Filesystem) {
	const field = "filesystem.image"
	if f.Image == "" {
		return
	}
	if f.Root != "" {
		ps.add(field, "an image takes the place of filesystem.root, which is "+quote(f.Root), "leave one of them out")
	}
	switch {
	case len(f.Image) > maxImage:
		ps.add(field, fmt.Sprintf("a reference of %d bytes is longer than any", len(f.Image)), "is this the right value?")
		return
	case !utf8.ValidString(f.Image) || strings.ContainsFunc(f.Image, unicode.IsControl):
		ps.add(field, quote(f.Image)+" holds what no reference can (control characters, or no UTF-8)", `write, for example, "alpine:3.20"`)
		return
	}
	form, at, _ := strings.Cut(f.Image, ":")
	switch {
	case form == "rootfs" && at == "/":
		ps.add(field, `the root directory of the host cannot be the root of a sandbox`, `leave it out, and set filesystem.root to "host"`)
	case form == "rootfs":
		ps.path(field, at)
	case form != "oci-layout" && form != "docker-archive":
	case !path.IsAbs(at):
		ps.add(field, quote(at)+" is not an absolute path", fmt.Sprintf(`write "%s:/..."`, form))
	case slices.Contains(strings.Split(at, "/"), ".."):
		ps.add(field, quote(at)+` holds ".."`, "name the directory itself")
	}
}

// workspaces checks the mounts that commands may write to.
func (ps *problems) workspaces(f *Filesystem) {
	for i, m := range f.Mounts {
		field := fmt.Sprintf("filesystem.mounts[%d]", i)
		ps.oneOf(field+".access", m.Access, AccessRead, AccessWrite, AccessDirect)
		checkNames(ps, field+".rights", m.Rights, Rights())
		if same := func(o Mount) bool { return o.Access == AccessWrite && o.Source == m.Source }; same(m) && slices.ContainsFunc(f.Mounts[:i], same) {
			ps.add(field+".source", quote(m.Source)+" is another writable mount too, and changes to one directory are listed once", "leave one out")
		}
		if m.Access == AccessWrite && f.TmpSize == 0 {
			ps.add(field+".access", "the changes to a writable mount need a bound", "set filesystem.tmp_size, such as 256m")
		}
		if len(m.Rights) > 0 && f.Landlock == Off {
			ps.add(field+".rights", "rights need Landlock, which is off", `set filesystem.landlock to "on", or leave them out`)
		}
	}
	first := make(map[string]bool)
	for i, name := range f.Protected {
		at := fmt.Sprintf("filesystem.protected[%d]", i)
		switch {
		case name == "" || strings.ContainsRune(name, 0) || path.IsAbs(name) || name != path.Clean(name) ||
			slices.Contains(strings.Split(name, "/"), ".."):
			ps.add(at, quote(name)+" is not a clean path relative to a mount", `write, for example, ".git/hooks"`)
		case first[name]:
			ps.add(at, quote(name)+" is there twice", "remove one")
		}
		first[name] = true
	}
}

// madeInside are the directories that each sandbox gets its own of. A mount
// there would show the host's kernel and devices, or hide the sandbox's.
var madeInside = []string{"/proc", "/dev", "/sys"}

func (ps *problems) mounts(mounts []Mount) {
	byTarget := make(map[string]int)
	for i, m := range mounts {
		field := fmt.Sprintf("filesystem.mounts[%d]", i)
		if !ps.path(field+".source", m.Source) {
			continue
		}
		if m.Source == "/" {
			ps.add(field+".source", "the root directory of the host cannot be mounted", "name the directories that are needed")
			continue
		}
		target, at := m.Target, field+".target"
		if target == "" {
			target, at = m.Source, field+".source"
		} else if !ps.path(at, target) {
			continue
		}
		ps.target(at, target)
		if first, taken := byTarget[target]; taken {
			ps.add(at, fmt.Sprintf("%s is the target of filesystem.mounts[%d] too", quote(target), first), "give one of them another target")
			continue
		}
		byTarget[target] = i
	}
}

func (ps *problems) target(field, target string) {
	if target == "/" {
		ps.add(field, "a mount cannot replace the root directory", "set filesystem.root instead")
	}
	for _, dir := range madeInside {
		if target == dir || strings.HasPrefix(target, dir+"/") {
			ps.add(field, fmt.Sprintf("%s is in %s, which each sandbox gets its own of", quote(target), dir), "choose another target")
		}
	}
}

// maxPath is PATH_MAX of linux/limits.h without the NUL byte.
const maxPath = 4095

// path reports whether p is an absolute path with one spelling only, so that a
// comparison of paths is a comparison of strings.
func (ps *problems) path(field, p string) bool {
	clean := path.Clean(p)
	switch {
	case p == "":
		ps.add(field, "is missing", "give an absolute path")
	case len(p) > maxPath:
		ps.add(field, fmt.Sprintf("%s has %d bytes, and no path has more than %d", quote(p), len(p), maxPath), "is this the right value?")
	case strings.ContainsRune(p, 0):
		ps.add(field, quote(p)+" holds a NUL byte", "no path can hold one")
	case !path.IsAbs(p):
		ps.add(field, quote(p)+" is not an absolute path", `begin it with "/"`)
	case slices.Contains(strings.Split(p, "/"), ".."):
		ps.add(field, quote(p)+` holds ".."`, "name the directory itself")
	case p != clean:
		ps.add(field, quote(p)+" is not a clean path", "write "+quote(clean))
	default:
		return true
	}
	return false
}
