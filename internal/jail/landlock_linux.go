package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/policy"
)

// landlockABI is the version of Landlock that the jail uses.
func (c *Config) landlockABI() int {
	abi := guest.LandlockABI()
	if c.LandlockABI > 0 {
		abi = min(abi, c.LandlockABI)
	}
	return abi
}

// mountRights is what Landlock grants below a mount: what its access implies,
// and of this what it names. Devices are in no mount, which is nodev.
func mountRights(m policy.Mount) uint64 {
	rights := impliedRights(m)
	if len(m.Rights) == 0 {
		return rights
	}
	named := uint64(0)
	for bit, name := range policy.Rights() {
		if slices.Contains(m.Rights, name) {
			named |= 1 << bit
		}
	}
	return rights & named
}

func impliedRights(m policy.Mount) uint64 {
	if readonly(m) {
		return guest.LandlockExec
	}
	return guest.LandlockWrite
}

// leftOut are the rights that a mount's access implies and its Rights do not name.
func leftOut(m policy.Mount) uint64 { return impliedRights(m) &^ mountRights(m) }

// landlockRules grant, a second time and by another mechanism, what the mounts
// show; and nothing of what is there by mistake.
func landlockRules(c *Config) []guest.LandlockRule {
	if c.Bare != nil {
		return bareRules(c)
	}
	var rules []guest.LandlockRule
	grant := func(rights uint64, paths ...string) {
		for _, p := range paths {
			// What is mounted at this very place is the mount's to grant.
			if !slices.ContainsFunc(c.Mounts, func(m policy.Mount) bool { return m.SeenAt() == p }) {
				rules = append(rules, guest.LandlockRule{Path: p, Rights: rights})
			}
		}
	}
	// A rule holds for all that is below it, so a mount that may not be listed
	// means that the root directory may not be listed either.
	unlisted := func(m policy.Mount) bool { return leftOut(m)&guest.LandlockList != 0 }
	if !slices.ContainsFunc(c.Mounts, unlisted) {
		grant(guest.LandlockList, "/")
	}
	grant(guest.LandlockRead, "/proc")
	grant(guest.LandlockDevice, "/dev")
	if c.Scratch > 0 {
		grant(guest.LandlockWrite, "/tmp", "/dev/shm")
	}
	own := uint64(guest.LandlockExec)
	if c.Writable {
		// Not "/" itself, and so not the canary.
		own = guest.LandlockWrite
		grant(own, writableDirs...)
	}
	grant(own, "/etc", "/var", "/run")
	if c.Root == policy.RootHost {
		grant(guest.LandlockExec, systemDirs...)
	}
	for _, dir := range c.layers() {
		grant(own, rootDirs(dir)...)
	}
	for _, m := range c.Mounts {
		rules = append(rules, guest.LandlockRule{Path: m.SeenAt(), Rights: mountRights(m)})
	}
	for _, dir := range c.secretDirs() {
		rules = append(rules, guest.LandlockRule{Path: dir, Rights: guest.LandlockRead})
	}
	if c.Worker != nil {
		grant(guest.LandlockExec, WorkerPath)
		grant(guest.LandlockWrite, WorkerDir)
	}
	return rules
}

// RightsGaps lists, in sentences, the rights that mounts of c leave out and that
// commands would have all the same: because Landlock of this kernel cannot restrict
// them, or because rules only ever add (landlock(7)), and another rule grants
// them for a directory above, or for the same files.
func RightsGaps(c *Config) (gaps []string) {
	if !slices.ContainsFunc(c.Mounts, func(m policy.Mount) bool { return leftOut(m) != 0 }) {
		return nil // as a rule, and there is nothing to work out then
	}
	abi := c.landlockABI()
	rules := landlockRules(c)
	for i, m := range c.Mounts {
		left := leftOut(m)
		if left == 0 {
			continue
		}
		gap := func(rights uint64, why string) {
			if rights != 0 {
				gaps = append(gaps, fmt.Sprintf("filesystem.mounts[%d] (%s) leaves out %s, which %s",
					i, m.SeenAt(), strings.Join(rightNames(rights), ", "), why))
			}
		}
		for bit, name := range policy.Rights() {
			right := uint64(1) << bit
			// Before there was a right to refer, every domain denied it.
			if left&right&^guest.LandlockHandled(abi) != 0 && !(name == "refer" && abi > 0) {
				gap(right, fmt.Sprintf("Landlock ABI %d of this kernel cannot restrict; Linux %s (%s) can", abi, rightSince(bit).linux, rightSince(bit).words()))
			}
		}
		for _, r := range rules {
			if r.Path != m.SeenAt() && fileBelow(r.Path, m.SeenAt()) {
				gap(r.Rights&left, "is granted for all of "+r.Path)
			}
		}
		for _, other := range sameFiles(c, i) {
			gap(other.Rights&left, "is granted for the same files at "+other.Path)
		}
	}
	return gaps
}

// sameFiles lists the rules, other than that of mount i, for what that mount
// shows, or a part of it. A rule is tied to a file, wherever it is seen.
func sameFiles(c *Config, i int) (rules []guest.LandlockRule) {
	source, err := filepath.EvalSymlinks(c.Mounts[i].Source)
	if err != nil {
		return nil // there is nothing to mount, which is told then
	}
	add := func(path, at string, rights uint64) {
		if path, err := filepath.EvalSymlinks(path); err == nil && fileBelow(source, path) {
			rules = append(rules, guest.LandlockRule{Path: at, Rights: rights})
		}
	}
	for n, other := range c.Mounts {
		if n != i {
			add(other.Source, other.SeenAt(), mountRights(other))
		}
	}
	if c.Root == policy.RootHost {
		for _, dir := range systemDirs {
			add(dir, dir, guest.LandlockExec)
		}
	}
	return rules
}

// fileBelow reports whether path is dir or below it.
func fileBelow(dir, path string) bool {
	below, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(below)
}

func rightNames(rights uint64) (names []string) {
	for bit, name := range policy.Rights() {
		if rights&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// landlockVersion is a version of Landlock, and the Linux that it came with.
type landlockVersion struct {
	abi   int
	linux string
	since int // the first bit of its file system rights
}

func (a landlockVersion) words() string { return fmt.Sprintf("Landlock ABI %d", a.abi) }

// landlockVersions are those that brought rights of files (linux/landlock.h).
var landlockVersions = []landlockVersion{{1, "5.13", 0}, {2, "5.19", 13}, {3, "6.2", 14}, {5, "6.10", 15}}

// rightSince is the ABI that brought a right.
func rightSince(bit int) landlockVersion {
	at := landlockVersions[0]
	for _, a := range landlockVersions {
		if bit >= a.since {
			at = a
		}
	}
	return at
}

// writableDirs are the places of a writable root that programs write to, and
// that Landlock grants where it is on.
var writableDirs = []string{"/opt", "/home", "/root", "/srv", "/mnt", "/media"}

// rootDirs are what is at the top of a root directory, but for what is ours.
func rootDirs(root string) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil // the mount of it says what is wrong
	}
	var dirs []string
	for _, e := range entries {
		// What a link leads to has a rule of its own, if it is to have one: a rule for
		// a link to "/" would be one for everything.
		link := e.Type()&os.ModeSymlink != 0
		if !link && !slices.Contains([]string{"proc", "dev", "tmp"}, e.Name()) {
			dirs = append(dirs, "/"+e.Name())
		}
	}
	return dirs
}
