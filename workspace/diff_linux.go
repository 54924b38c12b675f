package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Diff lists the changes, so that to carry them out in their order makes of the
// base what the sandbox saw: a directory before what is in it, and after what
// was deleted from it. A file that was copied up and is as it was is none, and
// neither are times, owners, extended attributes and the mode of the workspace's
// own directory. The error is a *LimitError where there are too many.
func (w *Workspace) Diff(ctx context.Context) ([]Change, error) {
	base, upper := int(w.Base.Fd()), int(w.Upper.Fd())
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", base))
	if err != nil {
		return nil, fmt.Errorf("find out where the workspace is: %w", err)
	}
	d := &differ{Workspace: w, ctx: ctx, at: strings.Trim(at, "/"), buf: make([]byte, 2*blockSize)}
	top, _, err := find(upper, ".")
	if err != nil {
		return nil, fmt.Errorf("list the changes: %w", err)
	}
	defer unix.Close(top.fd)
	if err := w.unlock(top, ""); err != nil {
		return nil, fmt.Errorf("list the changes: %w", err)
	}
	if err := d.directory(base, upper, place{}); err != nil {
		return nil, err
	}
	return d.out, nil
}

// differ is one walk over the upper directory, and beside it over the base.
type differ struct {
	*Workspace
	ctx   context.Context //nolint:containedctx // of the one Diff
	at    string          // where the base is on the host, without the first slash
	out   []Change
	bytes int64 // of content so far
	buf   []byte
}

// place is a directory that is walked.
type place struct {
	rel   string // "": the workspace itself
	depth int

	// opaque: nothing of what the base has here is seen inside, and so is all
	// below, where overlayfs does not say it again.
	opaque bool

	// gitDir is as in protected; made says why all in here is protected.
	gitDir, made string
}

func (p place) join(name string) string {
	if p.rel == "" {
		return name
	}
	return p.rel + "/" + name
}

// directory compares one that is in the upper layer with what the base has at
// the same place; base is -1 where that is no directory.
func (d *differ) directory(base, upper int, p place) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if p.depth > maxDepth {
		return &LimitError{fmt.Sprintf("directories are nested more than %d deep", maxDepth)}
	}
	names, err := entries(upper)
	if err != nil {
		return fmt.Errorf("list the changes in %q: %w", p.rel, err)
	}
	var below []string
	if base >= 0 {
		if below, err = entries(base); err != nil {
			return d.closed(Change{Path: p.rel, Kind: Modified, Type: Dir}, p, err)
		}
	}
	if len(names)+len(below) > maxChanges {
		return &LimitError{fmt.Sprintf("%q has more than %d entries", p.rel, maxChanges)}
	}
	slices.Sort(names)
	slices.Sort(below)
	p.opaque = p.opaque || isOpaque(upper)
	p = repository(upper, names, below, p)
	if p.opaque {
		for _, name := range below {
			if _, kept := slices.BinarySearch(names, name); !kept {
				if err := d.deleted(base, name, p); err != nil {
					return err
				}
			}
		}
	}
	for _, name := range names {
		if err := d.entry(base, upper, name, p); err != nil {
			return err
		}
	}
	return nil
}

// closed refuses what becomes of a directory of the host that cannot be listed.
func (d *differ) closed(c Change, p place, err error) error {
	if c.Path == "" {
		return fmt.Errorf("list the workspace on the host: %w", err)
	}
	c.Refused = fmt.Sprintf("the host's directory cannot be listed: %v", err)
	return d.add(c, p)
}

// isOpaque reports whether a directory of the upper layer hides what the base
// has at its place. In an overlay nobody inside can set the attribute.
func isOpaque(dir int) bool {
	fd, err := openBeneath(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var value [1]byte
	n, err := unix.Fgetxattr(fd, "user.overlay.opaque", value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// repository looks whether git would take the directory for a repository, and
// whether it has become one. names is nil where all of it is deleted.
func repository(upper int, names, below []string, p place) place {
	var before, after []string
	for _, name := range below {
		if !looksLikeGitName(name) {
			continue
		}
		before = append(before, fold(name))
		if _, in := slices.BinarySearch(names, name); !in && !p.opaque {
			after = append(after, fold(name))
		}
	}
	for _, name := range names {
		if looksLikeGitName(name) && !isWhiteout(upper, name) {
			after = append(after, fold(name))
		}
	}
	switch {
	case looksLikeGitDir(before):
		p.gitDir = rel(p.rel)
	case looksLikeGitDir(after) && p.made == "" && !inDotGit(p.rel):
		p.gitDir, p.made = rel(p.rel), whyGitDir
	}
	return p
}

func rel(p string) string {
	if p == "" {
		return "."
	}
	return p
}

// isWhiteout reports whether an entry of the upper layer says that there is
// nothing: a character device 0:0.
func isWhiteout(dir int, name string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// entry compares one entry of the upper layer with the base.
func (d *differ) entry(base, upper int, name string, p place) error {
	if isWhiteout(upper, name) {
		if base < 0 {
			return nil
		}
		return d.deleted(base, name, p)
	}
	now, ok, err := find(upper, name)
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("list the change of %q: it is not there any more", p.join(name)), err)
	}
	defer unix.Close(now.fd)
	if now.typ() == Dir || now.typ() == File {
		if err := d.unlock(now, p.join(name)); err != nil {
			return fmt.Errorf("make %q readable: %w", p.join(name), err)
		}
	}
	if mode, noted := d.modes[p.join(name)]; noted {
		now.mode = mode
	}
	c := Change{Path: p.join(name), Kind: Added, Type: now.typ()}
	then, existed, err := d.host(base, name, &c)
	if existed {
		defer unix.Close(then.fd)
	}
	if err != nil || c.Refused != "" {
		return errors.Join(err, d.add(c, p))
	}
	if existed && (then.typ() == Dir) != (now.typ() == Dir) {
		if err := d.deleted(base, name, p); err != nil {
			return err
		}
		existed = false
	} else {
		c.base = then.identity
	}
	if now.typ() == Dir {
		return d.subdirectory(base, upper, now, then, existed, c, p)
	}
	return d.file(upper, name, now, then, existed, c, p)
}

// host looks for what the base has at the place of c.
func (d *differ) host(base int, name string, c *Change) (then at, existed bool, err error) {
	if base < 0 {
		return then, false, nil
	}
	then, existed, err = find(base, name)
	if errors.Is(err, unix.EXDEV) {
		c.Refused = "something is mounted there on the host"
		return then, false, nil
	}
	if err != nil {
		return then, false, fmt.Errorf("look at %q on the host: %w", c.Path, err)
	}
	return then, existed, nil
}

// subdirectory lists the change of a directory itself, and those in it.
func (d *differ) subdirectory(base, upper int, now, then at, existed bool, c Change, p place) error {
	name := path.Base(c.Path)
	if existed {
		c.Kind = Mode
	}
	c.Mode = now.mode & permissions
	if !existed || c.Mode != then.mode&permissions {
		if err := d.add(c, p); err != nil {
			return err
		}
	}
	in, err := openBeneath(upper, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("list the changes in %q: %w", c.Path, err)
	}
	defer unix.Close(in)
	below := -1
	if existed {
		below = then.fd
	}
	return d.directory(below, in, place{rel: c.Path, depth: p.depth + 1, opaque: p.opaque, gitDir: p.gitDir, made: p.made})
}

// file lists the change of what is no directory.
func (d *differ) file(upper int, name string, now, then at, existed bool, c Change, p place) error {
	if existed {
		c.Kind = Modified
	}
	same := existed && now.typ() == then.typ()
	switch now.typ() {
	case Special:
		c.Refused = "devices, fifos and sockets are never applied"
	case Symlink:
		target, err := readLink(now.fd)
		if err != nil {
			return fmt.Errorf("read the link %q: %w", c.Path, err)
		}
		if same {
			if old, err := readLink(then.fd); err == nil && old == target {
				return nil
			}
		}
		c.Target, c.Refused = target, refuseTarget(c.Path, target)
	case File:
		c.Mode, c.Dropped = now.mode&permissions, droppedBits(now.mode)
		if same {
			if c.Dropped == droppedBits(then.mode) {
				c.Dropped = "" // nothing new
			}
		}
		unchanged, err := d.content(upper, name, now, then, same, &c)
		if err != nil {
			return err
		}
		if unchanged {
			switch {
			case c.Mode != then.mode&permissions:
				c.Kind = Mode
			case c.Dropped != "":
				c.Kind, c.Refused = Mode, "setuid, setgid and sticky bits are never applied"
			default:
				return nil
			}
		}
	}
	return d.add(c, p)
}

func droppedBits(mode uint32) string {
	var bits string
	if mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		bits += "s"
	}
	if mode&unix.S_ISVTX != 0 {
		bits += "t"
	}
	return bits
}

// add puts a change on the list.
func (d *differ) add(c Change, p place) error {
	if len(d.out) == maxChanges {
		return &LimitError{fmt.Sprintf("there are more than %d changes", maxChanges)}
	}
	c.listed = true
	if !utf8.ValidString(c.Path) {
		c.Raw = []byte(c.Path)
	}
	if c.Protected = d.protection(&c, p); c.Protected == "" {
		c.Protected = p.made
	}
	switch {
	case c.Refused != "":
	case len(c.Path) > maxPath:
		c.Refused = fmt.Sprintf("its path has more than %d bytes", maxPath)
	case c.base.exists() && c.base.typ() != Dir && c.base.ctime.After(d.Since):
		c.Refused, c.conflict = "it was changed on the host meanwhile", true
	}
	d.out = append(d.out, c)
	return nil
}

// protection says why a change is protected: by its names, or by where it leads.
func (d *differ) protection(c *Change, p place) string {
	if why := protected(c.Path, p.gitDir); why != "" {
		return why
	}
	if why := protected(d.at+"/"+c.Path, ""); why != "" {
		return why // the workspace itself is in .git, or .config
	}
	if fold(path.Base(c.Path)) == ".git" && (c.Type != Dir || c.base.exists() && c.base.typ() != Dir) {
		return "git takes it for the way to a repository"
	}
	if c.Type != Symlink || c.Target == "" {
		return ""
	}
	target := targetPath(c.Path, c.Target)
	why := cmp.Or(protected(target, ""), protected(d.at+"/"+target, ""))
	if why == "" && inDotGit(target) {
		why = whyGit
	}
	if why != "" {
		return fmt.Sprintf("it leads to %q: %s", target, why)
	}
	return ""
}
