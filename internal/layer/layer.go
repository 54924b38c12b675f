// Package layer unpacks layers of container images (OCI image-spec, layer.md)
// into directories that overlayfs takes with the option userxattr, finds files in
// layers that lie over each other, and copies them into one.
//
// An archive is hostile: nothing of it leads out of the directory, whatever it
// holds and in whatever order. Every path is resolved by openat2(2) from that
// directory, and follows no link.
//
// What this package does not protect: a directory that others may write to while
// it is unpacked or read. Setuid and setgid bits, device nodes, and extended
// attributes other than user.* are dropped, but what remains can be any program.
package layer

import (
	"errors"
	"fmt"
	"strings"
)

// ErrRefused is matched by errors about what an archive holds.
var ErrRefused = errors.New("the layer was refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// LimitError says which bound an image has reached.
type LimitError struct {
	What  string // "bytes" or "files"
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("it unpacks to more than %d %s", e.Limit, e.What)
}

// Budget is what the layers of an image may take together. It counts down.
type Budget struct {
	MaxBytes, MaxFiles int64 // as they were given
	bytes, files       int64 // taken
}

// Bytes is how much was taken, as the length of the archives.
func (b *Budget) Bytes() int64 { return b.bytes }

// Files is how many entries were taken.
func (b *Budget) Files() int64 { return b.files }

// Take counts a layer that was unpacked before.
func (b *Budget) Take(bytes, files int64) error {
	b.bytes += bytes
	b.files += files
	if b.bytes > b.MaxBytes {
		return &LimitError{"bytes", b.MaxBytes}
	}
	if b.files > b.MaxFiles {
		return &LimitError{"files", b.MaxFiles}
	}
	return nil
}

func (b *Budget) takeBytes(n int) error { return b.Take(int64(n), 0) }

func (b *Budget) takeFile() error { return b.Take(0, 1) }

// Dropped counts what was not unpacked, because nothing could use it inside, or
// because it would be a danger outside.
type Dropped struct {
	Devices int `json:"devices,omitempty"` // device nodes: every mount of a sandbox is nodev
	Setuid  int `json:"setuid,omitempty"`  // files and directories with the bits: no_new_privs makes them mean nothing
	Xattrs  int `json:"xattrs,omitempty"`  // attributes that are not user.*, or that are overlayfs's own
}

// Options say how a layer is unpacked.
type Options struct {
	// Budget must not be nil.
	Budget *Budget

	// Squash gives everything to the caller, as who is not root cannot do
	// otherwise. Files then can be read, and directories be searched and written
	// to, by that user, whatever the archive says.
	Squash bool
}

// What names and numbers an archive may have.
const (
	maxPath = 4095 // PATH_MAX of linux/limits.h, less the zero

	// maxDepth bounds the nesting of directories: walks keep a descriptor a level.
	maxDepth = 256

	// maxID is the highest id that a user namespace of a sandbox maps.
	maxID = 65535

	// maxSize bounds a file with holes, which takes no room. /var/log/lastlog of
	// a user with a high uid has 300 GiB.
	maxSize = 1 << 40

	// maxRemembered bounds the memory for names that are needed again at the end:
	// of directories, of deletions, of devices.
	maxRemembered = 256 << 20

	permissions = 0o777
	setuidBits  = 0o6000
	stickyBit   = 0o1000
)

// Names that mean a deletion (OCI image-spec, layer.md, "Whiteouts"). Others that
// begin with whiteoutMeta are files of aufs's own.
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// How overlayfs, mounted with userxattr, marks a directory that hides what is
// below it (Documentation/filesystems/overlayfs.rst).
const (
	overlayPrefix = "user.overlay."
	opaqueXattr   = "user.overlay.opaque"
)

// clean is a name in an archive as a path below the root: without a slash at
// either end, "." or empty parts. "" is the root itself.
func clean(name string) (string, error) {
	if len(name) > maxPath {
		return "", refused("a name has %d bytes, and %d are possible", len(name), maxPath)
	}
	if strings.ContainsRune(name, 0) {
		return "", refused("%q has a zero byte in it", name)
	}
	parts := make([]string, 0, 16)
	for _, part := range strings.Split(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", refused("%q leads upwards", name)
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) > maxDepth {
		return "", refused("%.80q… is nested deeper than %d", name, maxDepth)
	}
	return strings.Join(parts, "/"), nil
}

// split is the directory and the last part of a clean path.
func split(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// hasWhiteout reports whether a directory of a clean path has the name of a
// deletion, which nothing can be in.
func hasWhiteout(dir string) bool {
	return strings.HasPrefix(dir, whiteoutPrefix) || strings.Contains(dir, "/"+whiteoutPrefix)
}

// validID reports whether a sandbox can have such an owner.
func validID(id int64) bool { return id >= 0 && id <= maxID }
