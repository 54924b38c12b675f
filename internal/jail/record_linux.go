package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
)

// Record is what is known of a jail outside of the process that made it, so
// that another can list it, and sweep up what a crash leaves.
type Record struct {
	ID      string    `json:"id"`
	Backend string    `json:"backend"`
	Owner   int       `json:"owner"`   // pid of the process that made it
	Created time.Time `json:"created"` // by the wall clock
	Cgroups []string  `json:"cgroups,omitempty"`

	// Guest is the guest's pid, and Started its start time in clock ticks since
	// boot, which together name one process. 0: it was not started yet.
	Guest   int    `json:"guest,omitempty"`
	Started uint64 `json:"started,omitempty"`

	// Bare says that it has no namespaces of its own, and User which uid is its
	// own. 0: it has that of its owner.
	Bare bool `json:"bare,omitempty"`
	User int  `json:"user,omitempty"`

	// Orphaned says that its owner is gone.
	Orphaned bool `json:"orphaned"`
}

// record is a Record on disk. Its owner holds a lock on the file for as long as
// the jail lives; the kernel lets go of it when the owner dies, however it dies.
type record struct {
	Record
	file *os.File
	path string
}

const recordSuffix = ".json"

// StateDir returns the directory of records, and makes it: under /run for root,
// else under XDG_RUNTIME_DIR, else a directory of the user's own in the
// temporary directory.
func StateDir() (string, error) {
	dir := "/run/kavach"
	if uid := os.Geteuid(); uid != 0 {
		dir = filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "kavach")
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(os.TempDir(), "kavach-"+strconv.Itoa(uid))
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the directory of records: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return "", fmt.Errorf("directory of records %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return "", fmt.Errorf("directory of records %s is not a directory that only this user writes to; remove it, or, where it is another user's, name a directory of your own by XDG_RUNTIME_DIR", dir)
	}
	return dir, nil
}

// newRecord puts a jail on record, before anything else of it exists. The file
// gets its name when it is locked: nobody ever sees it without an owner.
func newRecord(r Record) (_ *record, err error) {
	dir, err := StateDir()
	if err != nil {
		return nil, err
	}
	rec := &record{Record: r, path: filepath.Join(dir, r.ID+recordSuffix)}
	draft := filepath.Join(dir, "."+r.ID)
	rec.file, err = os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record of sandbox %s: %w", r.ID, err)
	}
	defer func() {
		if err != nil {
			rec.file.Close()
			os.Remove(draft)
		}
	}()
	if err := unix.Flock(int(rec.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, err
	}
	if err := rec.save(); err != nil {
		return nil, err
	}
	return rec, os.Rename(draft, rec.path)
}

func (r *record) save() error {
	b, err := json.Marshal(r.Record)
	if err != nil {
		return err
	}
	_, err = r.file.WriteAt(append(b, '\n'), 0)
	return err
}

// remove takes a jail off the record, when nothing of it is left.
func (r *record) remove() error {
	err := os.Remove(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, r.file.Close())
}

// List returns all jails of this user that are on record.
func List() ([]Record, error) {
	var found []Record
	err := each(func(r *record) error {
		found = append(found, r.Record)
		return r.file.Close()
	})
	return found, err
}

// Sweep removes what is left of jails whose owner is gone, and returns them.
func Sweep() ([]Record, error) {
	if err := sweepDrafts(); err != nil {
		return nil, err
	}
	var swept []Record
	err := each(func(r *record) error {
		if !r.Orphaned {
			return r.file.Close()
		}
		if err := r.sweep(); err != nil {
			return errors.Join(fmt.Errorf("sweep sandbox %s: %w", r.ID, err), r.file.Close())
		}
		swept = append(swept, r.Record)
		return nil
	})
	return swept, err
}

// sweepOnce sweeps when the first jail of this process is made. What cannot be
// removed is no reason not to make another; `kavach clean` says why it cannot.
var sweepOnce = sync.OnceFunc(func() { _, _ = Sweep() })

func (r *record) sweep() error {
	// What is frozen cannot die, and the guest does not end before it has.
	if err := cgroup.Thaw(r.Cgroups); err != nil {
		return err
	}
	if err := r.sweepBare(); err != nil {
		return err
	}
	if err := killExactly(r.Guest, r.Started); err != nil {
		return err
	}
	if err := cgroup.Remove(r.Cgroups); err != nil {
		return err
	}
	return r.remove()
}

// sweepDrafts removes records that never got their name, as their owner was
// killed just then: nothing else was made yet. One that is younger than any
// owner takes to name it may be somebody's.
func sweepDrafts() error {
	const age = time.Minute
	dir, err := StateDir()
	if err != nil {
		return err
	}
	drafts, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil {
		return err
	}
	for _, name := range drafts {
		info, err := os.Lstat(name)
		if err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > age {
			os.Remove(name)
		}
	}
	return nil
}

// each calls do with every record, locked where its owner is gone.
func each(do func(*record) error) error {
	dir, err := StateDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), recordSuffix) {
			continue
		}
		r, err := openRecord(filepath.Join(dir, entry.Name()))
		if err == nil && r != nil {
			err = do(r)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// openRecord reads a record. Nil: it is gone.
func openRecord(path string) (_ *record, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{file: f, path: path}
	lockErr := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Nlink == 0 {
		return nil, errors.Join(err, f.Close()) // its owner was faster
	}
	if err := json.NewDecoder(f).Decode(&r.Record); err != nil {
		return nil, errors.Join(fmt.Errorf("record %s: %w", path, err), f.Close())
	}
	r.Orphaned = lockErr == nil
	return r, nil
}

// killExactly kills the process with this pid and start time, if it is still
// that one, and waits for its end.
func killExactly(pid int, started uint64) error {
	if pid <= 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if now, err := guest.StartTime(pid); err != nil || now != started {
		return nil // another has its number by now
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	const patience = 5000 // milliseconds
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience)
	if err == nil && n == 0 {
		return fmt.Errorf("guest %d does not die", pid)
	}
	return err
}
