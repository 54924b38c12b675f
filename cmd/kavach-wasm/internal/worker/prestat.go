//go:build linux

package worker

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// instantiateWASI defines WASI as wazero has it, but for the environment, and for the
// names of preopened directories: it calls "." "/", so that a program which knows the
// difference, as Go's do, would take /etc/x for ./etc/x.
func (w *worker) instantiateWASI() (api.Module, error) {
	b := w.runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	define := func(b wazero.HostModuleBuilder, name string, do func(m api.Module, args []uint64) uint32, params int) {
		types := make([]api.ValueType, params)
		for i := range types {
			types[i] = api.ValueTypeI32
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
			stack[0] = uint64(do(m, stack))
		}), types, []api.ValueType{api.ValueTypeI32}).Export(name)
	}
	define(b, "environ_get", w.environGet, 2)
	define(b, "environ_sizes_get", w.environSizesGet, 2)
	define(b, "fd_prestat_get", w.prestatGet, 2)
	define(b, "fd_prestat_dir_name", w.prestatDirName, 3)
	return b.Instantiate(w.ctx)
}

// Numbers of WASI preview 1 (errno, preopentype).
const (
	errnoSuccess     = 0
	errnoBadF        = 8
	errnoFault       = 21
	errnoNameTooLong = 37
	preopenDir       = 0
	firstPreopen     = 3
)

// preopen is the name of the directory that was opened as fd before the module began.
func (w *worker) preopen(fd uint32) (name string, ok bool) {
	if fd < firstPreopen || int64(fd)-firstPreopen >= int64(len(w.names)) {
		return "", false
	}
	return w.names[fd-firstPreopen], true
}

// prestatGet is fd_prestat_get(fd, result: prestat { tag u8, at 4 the length of the
// name }).
func (w *worker) prestatGet(m api.Module, args []uint64) uint32 {
	name, ok := w.preopen(uint32(args[0]))
	if !ok {
		return errnoBadF
	}
	at := uint32(args[1])
	if m.Memory() == nil || !m.Memory().WriteUint32Le(at, preopenDir) || !m.Memory().WriteUint32Le(at+4, uint32(len(name))) {
		return errnoFault
	}
	return errnoSuccess
}

// prestatDirName is fd_prestat_dir_name(fd, path, length).
func (w *worker) prestatDirName(m api.Module, args []uint64) uint32 {
	name, ok := w.preopen(uint32(args[0]))
	switch {
	case !ok:
		return errnoBadF
	case uint64(len(name)) > uint64(uint32(args[2])):
		return errnoNameTooLong
	case m.Memory() == nil || !m.Memory().WriteString(uint32(args[1]), name):
		return errnoFault
	}
	return errnoSuccess
}
