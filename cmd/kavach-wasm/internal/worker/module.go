//go:build linux

package worker

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wasmwire"
)

// loaded is the module that the worker has.
type loaded struct {
	asked    wasmwire.Load
	from     identity // of the file that it was read from
	digest   [sha256.Size]byte
	size     int
	data     []byte                // nil: it is compiled
	compiled wazero.CompiledModule // nil: there is none
}

// identity says whether a file is what it was.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// load reads a module, unless it is the one that is there already, and says which
// it is. Its code is the host's to send then.
func (w *worker) load(f *wasmwire.Load, fds []int) error {
	data, from, err := w.read(f, fds)
	if err != nil {
		return err
	}
	m := &w.module
	if data != nil {
		if m.compiled != nil {
			_ = m.compiled.Close(w.ctx)
		}
		*m = loaded{asked: *f, from: from, digest: sha256.Sum256(data), size: len(data), data: data}
	}
	return w.conn.Send(&wasmwire.Found{Digest: string(m.digest[:]), Size: uint64(m.size), Kept: data == nil})
}

// read returns the bytes of a module. Nil: it is the one that is there.
func (w *worker) read(f *wasmwire.Load, fds []int) ([]byte, identity, error) {
	if len(fds) > 0 {
		data, err := readModule(io.NewSectionReader(descriptor(fds[0]), 0, wasmwire.MaxModule+1))
		return data, identity{}, err
	}
	file, err := open(f)
	if err != nil {
		return nil, identity{}, err
	}
	defer file.Close()
	from, err := identify(file)
	if err != nil {
		return nil, from, err
	}
	if w.module.compiled != nil && w.module.asked == *f && w.module.from == from {
		return nil, from, nil
	}
	data, err := readModule(file)
	return data, from, err
}

func identify(f *os.File) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return identity{}, fail("stat", err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return identity{}, fail("exec", unix.EISDIR)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return identity{}, fail("exec", unix.EACCES)
	}
	return identity{st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim}, nil
}

// open finds a module by its name.
func open(f *wasmwire.Load) (*os.File, error) {
	if info, err := os.Stat(f.Dir); err != nil {
		return nil, fail("chdir", errnoOf(err))
	} else if !info.IsDir() {
		return nil, fail("chdir", unix.ENOTDIR)
	}
	var candidates []string
	if !strings.Contains(f.Name, "/") {
		for _, dir := range filepath.SplitList(f.Path) {
			if filepath.IsAbs(dir) {
				candidates = append(candidates, filepath.Join(dir, f.Name))
			}
		}
	}
	if filepath.IsAbs(f.Name) {
		candidates = append(candidates, f.Name)
	} else {
		candidates = append(candidates, filepath.Join(f.Dir, f.Name))
	}
	var refused error = unix.ENOENT
	for _, name := range candidates {
		// Not blocking: a FIFO is no module, and nobody need write to it.
		file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			refused = err
		}
	}
	return nil, fail("lookup", errnoOf(refused))
}

// The beginnings of what is taken for a module (WebAssembly core specification,
// 5.5.16), and of a component, which is something else.
const (
	magicModule    = "\x00asm\x01\x00\x00\x00"
	magicComponent = "\x00asm\x0d\x00\x01\x00"
)

func readModule(f io.Reader) ([]byte, error) {
	start := make([]byte, len(magicModule))
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fail("read", err)
	}
	switch head := string(start[:n]); {
	case head == magicComponent:
		return nil, fail("module", errors.New("it is a component of WASI preview 2 or later, and modules of preview 1 are what is run; "+
			"compile for wasm32-wasip1, or GOOS=wasip1"))
	case head != magicModule:
		return nil, fail("module", errors.New("it is not a WebAssembly module; for native programs choose another backend"))
	}
	module := bytes.NewBuffer(start)
	_, err = module.ReadFrom(io.LimitReader(f, wasmwire.MaxModule+1-int64(n)))
	switch {
	case err != nil:
		return nil, fail("read", err)
	case module.Len() > wasmwire.MaxModule:
		return nil, fail("read", fmt.Errorf("it is larger than %d MiB", wasmwire.MaxModule>>20))
	}
	return module.Bytes(), nil
}

// hand gives the host the module to compile.
func (w *worker) hand(fds []int) error {
	if len(fds) != 1 || w.module.data == nil {
		return errors.New("there is no module, or no place for it")
	}
	if _, err := descriptor(fds[0]).Write(w.module.data); err != nil {
		return fail("write", err)
	}
	return w.conn.Send(&wasmwire.Written{})
}

// take takes the compiled code of the module. Wazero finds it under its name in the
// directory of its cache, as a link to the descriptor that came with it; and
// where that is not code for this module, this machine and this wazero, it would
// compile, which fails, as it can write nothing there: this is not the place.
func (w *worker) take(f *wasmwire.Code, fds []int) error {
	if len(fds) != 1 || !filepath.IsLocal(f.Name) || w.module.data == nil {
		return errors.New("no code came, or no module before it")
	}
	link := filepath.Join(w.dir, f.Name)
	const readOnly, own = 0o500, 0o700
	if err := os.MkdirAll(filepath.Dir(link), own); err != nil {
		return fail("cache", err)
	}
	defer func() { _ = errors.Join(os.Chmod(filepath.Dir(link), own), os.RemoveAll(w.dir)) }() // it is nobody else's
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", fds[0]), link); err != nil {
		return fail("code", err)
	}
	if err := os.Chmod(filepath.Dir(link), readOnly); err != nil {
		return fail("code", err)
	}
	compiled, err := w.runtime.CompileModule(w.ctx, w.module.data)
	if err != nil {
		return fail("code", err)
	}
	w.module.compiled, w.module.data = compiled, nil
	if err := w.linkable(); err != nil {
		return err
	}
	return w.conn.Send(&wasmwire.Loaded{})
}

// linkable refuses what a module asks for and nobody has, before it is said to be
// loaded. What functions of the host there are is looked at by serve.
func (w *worker) linkable() error {
	if memories := w.module.compiled.ImportedMemories(); len(memories) > 0 {
		return w.unlinkable(errors.New("it imports a memory, and has to have its own"))
	}
	has := w.wasi.ExportedFunctionDefinitions()
	var missing []string
	for _, f := range w.module.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == wasi_snapshot_preview1.ModuleName && has[name] == nil {
			missing = append(missing, module+"."+name)
		}
	}
	if len(missing) > 0 {
		return w.unlinkable(fmt.Errorf("it imports %s, which WASI preview 1 does not have", strings.Join(missing, ", ")))
	}
	return nil
}

// lacks names an import of the module that is neither of WASI nor given. Empty: it
// has all.
func (w *worker) lacks(given []wasmwire.Function) string {
	for _, f := range w.module.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		has := slices.ContainsFunc(given, func(g wasmwire.Function) bool { return g.Module == module && g.Name == name })
		if !has && module != wasi_snapshot_preview1.ModuleName {
			return module + "." + name
		}
	}
	return ""
}

func (w *worker) unlinkable(err error) error {
	_ = w.module.compiled.Close(w.ctx)
	w.module.compiled = nil
	return fail("link", err)
}

// compile makes the compiled code of a module, and runs nothing of it.
func (w *worker) compile(fds []int) error {
	if len(fds) != 2 || w.dir == "" {
		return errors.New("compiling takes a module, a place for its code, and a directory")
	}
	data, err := readModule(io.NewSectionReader(descriptor(fds[0]), 0, wasmwire.MaxModule+1))
	if err == nil {
		err = os.MkdirAll(w.cache, 0o700)
	}
	if err != nil {
		return err
	}
	if _, err := w.runtime.CompileModule(w.ctx, data); err != nil {
		return fail("module", err)
	}
	name := ""
	err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			name, err = filepath.Rel(w.dir, path)
		}
		return err
	})
	if err == nil && name == "" {
		err = errors.New("the runtime kept no compiled code")
	}
	if err != nil {
		return fail("code", err)
	}
	size, err := copyFile(fds[1], filepath.Join(w.dir, name))
	if err != nil {
		return fail("code", err)
	}
	return w.conn.Send(&wasmwire.Compiled{Name: name, Size: uint64(size)})
}

func copyFile(to int, name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(descriptor(to), f)
}

// descriptor is one that stays somebody else's to close.
type descriptor int

// ReadAt leaves the offset alone, which others share.
func (d descriptor) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		got, err := unix.Pread(int(d), p[n:], at+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case got == 0:
			return n, io.EOF
		default:
			n += got
		}
	}
	return n, nil
}

func (d descriptor) Read(p []byte) (n int, err error) {
	for {
		n, err = unix.Read(int(d), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (d descriptor) Write(p []byte) (n int, err error) {
	for n < len(p) {
		written, err := unix.Write(int(d), p[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += written
	}
	return n, nil
}
