package seccomp

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/policy"
)

// Asked reports whether a policy has any filter at all.
func Asked(s *policy.Seccomp) bool {
	return s.Profile != policy.Off || len(s.Files) > 0 || s.Mode == policy.SeccompLog
}

// ready holds the filters of each named profile, for the life of the program:
// they are the same every time.
var ready sync.Map // filterKey → *Filters

type filterKey struct {
	profile string
	place   Place
}

// Place says what is special about where the filters are for, as in Config.
type Place struct{ NoSetID, Unheard, Worker bool }

// Of makes the filters of a policy for this machine. Its files are read here,
// once; notes say, for people, what was made of them.
func Of(s *policy.Seccomp, at Place) (f *Filters, notes []string, err error) {
	plain, key := len(s.Files) == 0 && s.Mode != policy.SeccompLog, filterKey{s.Profile, at}
	if plain {
		if f, ok := ready.Load(key); ok {
			return f.(*Filters), nil, nil
		}
	}
	c := Config{Arch: runtime.GOARCH, Profile: s.Profile, Log: s.Mode == policy.SeccompLog, NoSetID: at.NoSetID, Unheard: at.Unheard, Worker: at.Worker}
	for _, name := range s.Files {
		file, err := readProfile(name)
		if err != nil {
			return nil, nil, err
		}
		c.Files = append(c.Files, file)
		for _, note := range file.Notes {
			notes = append(notes, fmt.Sprintf("seccomp profile %s: %s", name, note))
		}
	}
	f, err = New(c)
	if err == nil && plain {
		ready.Store(key, f)
	}
	return f, notes, err
}

// readProfile reads a profile of the caller's. It may be a link; what it leads to
// must be a regular file, and is opened without waiting for a writer.
func readProfile(name string) (*File, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read seccomp profile %s: it is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	return ReadFile(name, data, Machine{Arch: runtime.GOARCH, Kernel: unix.ByteSliceToString(uts.Release[:])})
}
