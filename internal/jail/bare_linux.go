package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/policy"
)

// A bare jail is what is left where the kernel refuses namespaces: the guest and
// its commands are in the host's, and no_new_privs, Landlock, seccomp and rlimits
// keep commands from what is there. The only place to write to is a directory of
// the jail's own.

// bareLandlock is the oldest version of Landlock for a bare jail: before ABI 3
// (Linux 6.2) what may be read could be truncated, and no mount is read-only.
const bareLandlock = 3

// BareProblem says why c cannot be jailed without namespaces, and what to do.
// Empty: it can.
func BareProblem(c *Config) (reason, fix string) {
	const without = "without namespaces "
	switch {
	case !c.Landlock || c.landlockABI() < bareLandlock:
		return fmt.Sprintf("%sLandlock is what keeps files, and it has to be on, and of ABI %d or newer; there is %d", without, bareLandlock, c.landlockABI()),
			"use Linux 6.2 or newer, and filesystem.landlock: on"
	case c.Filters == nil || len(c.Filters.Guest) == 0:
		return without + "the seccomp filter is what keeps the network, and it has to be on", `use seccomp.profile "strict" or "default"`
	case c.Root != policy.RootHost:
		return without + "there is no other root directory than the host's", `use filesystem.root: host`
	case c.Writable:
		return without + "the root directory cannot be writable", "leave out filesystem.writable"
	case c.UID != os.Geteuid() || c.GID != os.Getegid():
		return without + "nobody can be another user", "leave out process.user"
	case len(c.SecretFiles) > 0:
		return without + "there is nowhere to show a file that is in memory only, such as " + c.SecretFiles[0], "give the secret by another way (as env:VAR, fd:N, stdin)"
	}
	for _, m := range c.Mounts {
		switch {
		case m.Access != "" && m.Access != policy.AccessRead:
			return fmt.Sprintf("%s%s cannot be made writable", without, m.Source), "mount it read-only"
		case m.SeenAt() != m.Source:
			return fmt.Sprintf("%s%s cannot be seen at %s", without, m.Source, m.SeenAt()), "mount it at its own path"
		}
	}
	return "", ""
}

// SignalsScoped reports whether Landlock keeps signals in a jail of c.
func SignalsScoped(c *Config) bool {
	const scope = 6 // ABI, Linux 6.12
	return c.Landlock && c.with(policy.LandlockOn) && c.landlockABI() >= scope
}

// Of the host's /etc and /proc, what a bare jail grants beside etcShown: nothing
// that tells of other processes or users.
var (
	bareEtc  = []string{"/etc/nsswitch.conf", "/etc/os-release", "/etc/hosts"}
	bareProc = []string{
		"/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
		"/proc/sys/kernel/cap_last_cap", "/proc/sys/kernel/ngroups_max", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/pid_max",
		"/proc/sys/vm/max_map_count", "/proc/sys/vm/overcommit_memory",
	}
)

// bareRules are all that a command in a bare jail may open.
func bareRules(c *Config) (rules []guest.LandlockRule) {
	grant := func(rights uint64, paths ...string) {
		for _, p := range paths {
			rules = append(rules, guest.LandlockRule{Path: p, Rights: rights})
		}
	}
	grant(guest.LandlockExec, systemDirs...)
	grant(guest.LandlockRead, slices.Concat(etcShown, bareEtc, bareProc)...)
	grant(guest.LandlockDevice, devices...)
	if c.Scratch > 0 && c.place != "" {
		grant(guest.LandlockWrite, c.scratch())
	}
	for _, m := range c.Mounts {
		grant(mountRights(m), m.SeenAt())
	}
	return rules
}

// The place of a bare jail is a directory beside its record. In it are the one
// directory that commands write to, and a file that they could read but for
// Landlock.
const placeSuffix = ".place"

func placeOf(id string) (string, error) {
	dir, err := StateDir()
	return filepath.Join(dir, id+placeSuffix), err
}

func (c *Config) scratch() string { return filepath.Join(c.place, "tmp") }
func (c *Config) canary() string  { return filepath.Join(c.place, "canary") }

// makePlace makes it, as the user's that commands run as. Its name is as good as
// random, and nobody but that user may look into it.
func (j *Jail) makePlace() (err error) {
	if j.cfg.place, err = placeOf(j.cfg.ID); err != nil {
		return err
	}
	if j.ids.root { // who commands run as has to pass through
		if err := os.Chmod(filepath.Dir(j.cfg.place), 0o711); err != nil {
			return err
		}
	}
	for _, dir := range []string{j.cfg.place, j.cfg.scratch()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(j.cfg.canary(), []byte("Kavach opens this file from inside: Landlock must refuse it.\n"), 0o444); err != nil {
		return err
	}
	for _, m := range j.cfg.Mounts {
		if _, err := resolve(m); err != nil {
			return err
		}
	}
	if !j.ids.root {
		return nil
	}
	if err := asUser(j.ids, j.reachMounts); err != nil {
		return err
	}
	for _, path := range []string{j.cfg.canary(), j.cfg.scratch(), j.cfg.place} {
		if err := os.Lchown(path, j.ids.uid, j.ids.gid); err != nil {
			return err
		}
	}
	return nil
}

// reachMounts says which mount who commands run as cannot reach.
func (j *Jail) reachMounts() error {
	for _, m := range j.cfg.Mounts {
		fd, err := unix.Open(m.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("mount %s: user %d, whom the sandbox is on this machine, cannot reach it: %w; "+
				"let others search the directories above it (chmod o+x)", m.Source, j.ids.uid, err)
		}
		unix.Close(fd)
	}
	return nil
}

// bareUser is who the guest is: the caller; as root, a user of the sandbox's own,
// who has nothing on this machine.
func (j *Jail) bareUser() *cloneUser {
	if !j.ids.root {
		return nil
	}
	u := &cloneUser{uid: j.ids.uid, gid: j.ids.gid, setgroups: true}
	if held(unix.CAP_SETPCAP) { // to empty the bounding set; the guest drops it then
		u.keep = 1 << unix.CAP_SETPCAP
	}
	return u
}

// held reports whether this process has a capability, of the first 32.
func held(capability uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Permitted&(1<<capability) != 0
}

// bareLimits bound what one process, and where the kernel counts by user, what
// all of them use. What the user runs already counts as well.
func (j *Jail) bareLimits() []guest.Rlimit {
	var limits []guest.Rlimit
	if !j.cfg.with(policy.Limits) {
		return nil
	}
	add := func(resource int, value int64) {
		limit := guest.Rlimit{Resource: uint32(resource), Value: uint64(value)}
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err == nil {
			limit.Value = min(limit.Value, now.Max) // more is not ours to give
		}
		limits = append(limits, limit)
	}
	if j.cfg.Scratch > 0 {
		add(unix.RLIMIT_FSIZE, j.cfg.Scratch)
	}
	if j.cfg.PIDs >= 0 {
		add(unix.RLIMIT_NPROC, int64(guest.Tasks(j.ids.uid))+j.cfg.PIDs+cgroup.GuestTasks)
	}
	if j.group == nil && j.cfg.Memory >= 0 {
		add(unix.RLIMIT_DATA, j.cfg.Memory)
	}
	return limits
}

// bareSetup is what the guest of a bare jail is told.
func (j *Jail) bareSetup() *guest.Setup {
	setup := &guest.Setup{
		Confine: j.confine(), Rlimits: append(j.rlimits(), j.bareLimits()...), Probe: true,
		Bare: &guest.Bare{Filter: j.cfg.Bare, Canary: j.cfg.canary(), Write: filepath.Join(j.cfg.place, "written")},
	}
	setup.Confine.UserNS = -1 // it would be the host's
	if !j.cfg.with(policy.SeccompOn) {
		setup.Bare.Filter = nil
	}
	return setup
}

// inPlace puts what names /tmp, which is the host's, into the jail's own.
func (j *Jail) inPlace(env []string, dir string) ([]string, string) {
	if j.cfg.Bare == nil || j.cfg.Scratch == 0 {
		return env, dir
	}
	const tmp = "/tmp"
	move := func(path string) string {
		shown := slices.ContainsFunc(j.cfg.Mounts, func(m policy.Mount) bool { return fileBelow(m.SeenAt(), path) })
		if fileBelow(tmp, path) && !shown {
			return j.cfg.scratch() + strings.TrimPrefix(path, tmp)
		}
		return path
	}
	out := []string{"TMPDIR=" + j.cfg.scratch()}
	for _, kv := range env {
		key, value, _ := strings.Cut(kv, "=")
		switch key {
		case "TMPDIR":
			out[0] = "TMPDIR=" + move(value)
		case "HOME":
			out = append(out, "HOME="+move(value))
		default:
			out = append(out, kv)
		}
	}
	return out, move(dir)
}

// barePatience is how long the guest of a bare jail may take to kill its commands.
const barePatience = 3 * time.Second

// killBare ends a jail that no PID namespace ends: the guest, from which all of
// it descends, kills it, and else the host does. What had another parent by then,
// because the guest was killed before, is found where root gave it a uid of its
// own; else it is not (docs/SECURITY.md).
func (j *Jail) killBare() error {
	if j.conn != nil {
		_ = j.conn.CloseWrite() // the guest ends when it has killed what it started
	}
	ctx, cancel := context.WithTimeout(context.Background(), barePatience)
	defer cancel()
	var errs []error
	if j.process.wait(ctx) != nil {
		errs = append(errs, guest.KillBelow(j.process.pid, barePatience), j.process.kill())
	}
	if j.ids.root {
		errs = append(errs, killUser(j.ids.uid))
	}
	return errors.Join(errs...)
}

// killUser kills all that runs as a uid of sandboxes.
func killUser(uid int) error {
	if uid < firstID || uid >= firstID+idRange {
		return fmt.Errorf("user %d is not one that sandboxes have: %w", uid, unix.EPERM)
	}
	defer keepDumpable()() // a thread of ours becomes that user
	return guest.KillUser(uid, barePatience)
}

// killGuest kills the guest, and with it everything.
func (j *Jail) killGuest() error {
	if j.cfg.Bare != nil {
		return j.killBare()
	}
	return j.process.kill()
}

// sweepBare is what a sweep does for a bare jail whose owner is gone: its guest
// sees that, and ends by itself.
func (r *record) sweepBare() error {
	place, err := placeOf(r.ID)
	if err != nil || !r.Bare {
		return err
	}
	for start := time.Now(); time.Since(start) < barePatience; time.Sleep(time.Millisecond) {
		if now, err := guest.StartTime(r.Guest); err != nil || now != r.Started {
			break
		}
	}
	if now, err := guest.StartTime(r.Guest); err == nil && now == r.Started {
		if err := guest.KillBelow(r.Guest, barePatience); err != nil {
			return fmt.Errorf("what guest %d started does not die: %w", r.Guest, err)
		}
	}
	if err := killExactly(r.Guest, r.Started); err != nil {
		return err
	}
	if r.User != 0 {
		if err := killUser(r.User); err != nil {
			return err
		}
	}
	return os.RemoveAll(place)
}

// asUser does something with the file system uid of another user, whose processes
// root without CAP_SYS_PTRACE, as in a container, may look at only so (ptrace(2)).
func asUser(as ids, do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer keepDumpable()()
	if err := errors.Join(unix.Setfsgid(as.gid), unix.Setfsuid(as.uid)); err != nil {
		return err
	}
	defer func() {
		_ = errors.Join(unix.Setfsuid(os.Geteuid()), unix.Setfsgid(os.Getegid()))
	}()
	return do()
}
