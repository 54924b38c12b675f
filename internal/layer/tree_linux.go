package layer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Tree is layers that lie over each other, as overlayfs would show them.
type Tree struct {
	root merged
}

// merged is one directory of a tree: descriptors of what it is in each layer, the
// highest first.
type merged []int

func (m merged) close() {
	for _, fd := range m {
		unix.Close(fd)
	}
}

// OpenTree opens layers, the lowest first.
func OpenTree(layers []string) (*Tree, error) {
	t := &Tree{}
	for i := len(layers) - 1; i >= 0; i-- {
		fd, err := unix.Open(layers[i], unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("open layer %s: %w", layers[i], err)
		}
		t.root = append(t.root, fd)
		if isOpaque(fd) {
			break
		}
	}
	return t, nil
}

// Visible leaves out layers that nothing shows of, the lowest first: those below
// one whose root is opaque. overlayfs does not look for that mark at the root.
func Visible(layers []string) []string {
	var value [1]byte
	for i := len(layers) - 1; i > 0; i-- {
		if n, err := unix.Getxattr(layers[i], opaqueXattr, value[:]); err == nil && n == 1 && value[0] == 'y' {
			return layers[i:]
		}
	}
	return layers
}

// Close closes the tree.
func (t *Tree) Close() { t.root.close() }

// node is what a name is in a merged directory: a directory, or something else,
// which is open with O_PATH in fd, or nothing.
type node struct {
	dirs merged
	fd   int // -1: there is none
	mode uint32
	size int64
}

func (n *node) exists() bool { return n.fd >= 0 || n.dirs != nil }

func (n *node) close() {
	n.dirs.close()
	if n.fd >= 0 {
		unix.Close(n.fd)
	}
}

// lookup finds a name: of the highest layer that has it; directories of lower
// layers are shown through, until one is opaque, or something else is in between.
func (m merged) lookup(name string) (n node, err error) {
	n.fd = -1
	for _, dir := range m {
		fd, err := openBeneath(dir, name, unix.O_PATH, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		var st unix.Stat_t
		if err == nil {
			if err = unix.Fstat(fd, &st); err != nil {
				unix.Close(fd)
			}
		}
		if err != nil {
			n.close()
			return node{fd: -1}, fmt.Errorf("open %.200q: %w", name, err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			isDeletion := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
			if n.dirs != nil || isDeletion {
				unix.Close(fd)
			} else {
				n.fd, n.mode, n.size = fd, st.Mode, st.Size
			}
			return n, nil
		}
		unix.Close(fd)
		if fd, err = openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
			n.close()
			return node{fd: -1}, fmt.Errorf("open directory %.200q: %w", name, err)
		}
		if n.dirs == nil {
			n.mode = st.Mode
		}
		n.dirs = append(n.dirs, fd)
		if isOpaque(fd) {
			return n, nil
		}
	}
	return n, nil
}

func isOpaque(dir int) bool {
	var value [1]byte
	n, err := unix.Fgetxattr(dir, opaqueXattr, value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// maxLinks bounds how many links one path leads over, as the kernel does (path_resolution(7)).
const maxLinks = 40

// ReadFile reads a file of the tree, of at most limit bytes. Links are followed
// as somebody inside would who has the tree as the root: they lead nowhere else.
// What is not there is an error that matches os.ErrNotExist.
func (t *Tree) ReadFile(path string, limit int64) ([]byte, error) {
	n, err := t.walk(path)
	if err != nil {
		return nil, fmt.Errorf("read %s of the image: %w", path, err)
	}
	defer n.close()
	if n.mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("read %s of the image: it is no file", path)
	}
	if n.size > limit {
		return nil, fmt.Errorf("read %s of the image: it has %d bytes, and %d are read at most", path, n.size, limit)
	}
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", n.fd))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// walk goes from the root of the tree to path.
func (t *Tree) walk(path string) (n node, err error) {
	stack := []merged{t.root} // the directories that were gone through
	up := func(to int) {
		for len(stack) > to {
			stack[len(stack)-1].close()
			stack = stack[:len(stack)-1]
		}
	}
	defer func() { up(1) }()
	todo, links := strings.Split(path, "/"), 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			up(max(1, len(stack)-1))
			continue
		}
		if len(stack) > maxDepth {
			return n, unix.ENAMETOOLONG
		}
		n, err = stack[len(stack)-1].lookup(name)
		switch {
		case err != nil:
			return n, err
		case !n.exists():
			return n, os.ErrNotExist
		case n.dirs != nil:
			stack = append(stack, n.dirs)
			continue
		case n.mode&unix.S_IFMT == unix.S_IFLNK:
			target, err := readLink(n.fd)
			n.close()
			if links++; err == nil && links > maxLinks {
				err = unix.ELOOP
			}
			if err != nil {
				return node{fd: -1}, err
			}
			if strings.HasPrefix(target, "/") {
				up(1)
			}
			todo = append(strings.Split(target, "/"), todo...)
			continue
		case len(todo) > 0:
			n.close()
			return node{fd: -1}, unix.ENOTDIR
		}
		return n, nil
	}
	return node{fd: -1, mode: unix.S_IFDIR}, nil
}

// readLink reads a link by an O_PATH descriptor of itself.
func readLink(fd int) (string, error) {
	buf := make([]byte, maxPath+1)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
