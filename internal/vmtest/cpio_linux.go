package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// archive writes a cpio archive in the "newc" format, which the kernel unpacks
// as its first file system (Documentation/driver-api/early-userspace/
// buffer-format.rst).
type archive struct {
	w     io.Writer
	inode int
	dirs  map[string]bool
	err   error // the first one
}

func newArchive(w io.Writer) *archive { return &archive{w: w, dirs: map[string]bool{".": true}} }

// File types, as in st_mode.
const (
	typeDir  = 0o040000
	typeFile = 0o100000
)

// dir adds a directory, and those above it.
func (a *archive) dir(name string) {
	if a.dirs[name] {
		return
	}
	a.dir(path.Dir(name))
	a.dirs[name] = true
	a.entry(name, typeDir|0o755, nil)
}

func (a *archive) file(name string, mode fs.FileMode, content []byte) {
	a.dir(path.Dir(name))
	a.entry(name, typeFile|int(mode.Perm()), content)
}

// copy adds a file of this machine.
func (a *archive) copy(name, from string) {
	content, err := os.ReadFile(from)
	info, statErr := os.Stat(from)
	if err != nil || statErr != nil {
		a.fail(err)
		a.fail(statErr)
		return
	}
	a.file(name, info.Mode()&^0o022|0o444, content)
}

// tree adds a directory of this machine; where it is not there, nothing.
func (a *archive) tree(name, from string) {
	a.fail(filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) && p == from {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(from, p) // both are what they are
			a.copy(path.Join(name, rel), p)
		}
		return err
	}))
}

// entry writes a header of 13 hexadecimal fields, the name and the content, each
// padded to four bytes.
func (a *archive) entry(name string, mode int, content []byte) {
	if a.err != nil {
		return
	}
	a.inode++
	const uid, gid, links, mtime, device, check = 0, 0, 1, 0, 0, 0
	header := "070701"
	for _, field := range []int{
		a.inode, mode, uid, gid, links, mtime, len(content), device, device, device, device, len(name) + 1, check,
	} {
		header += fmt.Sprintf("%08x", field)
	}
	a.write(padded([]byte(header + name + "\x00")))
	a.write(padded(content))
}

// close writes the entry that ends an archive.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, nil)
	return a.err
}

func padded(b []byte) []byte { return append(b[:len(b):len(b)], make([]byte, (4-len(b)%4)%4)...) }

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}
