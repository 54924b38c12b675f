package credential

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// others are the permissions that let others than its owner read a file, or change it.
const others = 0o066

// readFile reads a file that nobody but its owner can read, as ssh wants it of keys.
func readFile(path string, shared bool, into []byte) (int, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // a FIFO would wait for who writes
	if err != nil {
		return 0, err // it has the path
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, advise("what comes by a pipe is a descriptor (fd:N), or standard input (stdin)", "%s is no regular file", path)
	}
	if !shared {
		if err := onlyOurs(path, info); err != nil {
			return 0, err
		}
	}
	return readAll(f, into)
}

func onlyOurs(path string, info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode&others != 0 {
		return advise("chmod 600 it, or say that it is shared (shared: true, --secret …,shared)", "%s can be read or changed by others (mode %04o)", path, mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return advise("chown it, or say that it is shared (shared: true, --secret …,shared)", "%s belongs to another user (uid %d), who can read it", path, st.Uid)
	}
	return nil
}

// notEOF is an error that is not the end of a file.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
