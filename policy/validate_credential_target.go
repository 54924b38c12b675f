package policy

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

func (ps *problems) credentialTarget(field string, c *Credential) {
	kind, value := c.Target()
	switch {
	case c.As == "" && !isVariable(c.Name):
		if c.Name != "" {
			ps.add(field, "is missing, and the credential's name cannot be that of a variable", `name the way, such as "env:TOKEN" or "file:/run/secrets/token"`)
		}
	case kind == "":
		ps.add(field, "the way is none of env:VAR, stdin, fd:N, file:PATH, placeholder:VAR", `name one, such as "env:TOKEN"`)
	case kind == CredentialEnv || kind == CredentialPlaceholder:
		ps.credentialVariable(field, kind, value)
	case kind == CredentialFD && !isFD(value, LastCredentialFD):
		ps.add(field, "fd: is not followed by the number of a descriptor that a command can be given",
			fmt.Sprintf("write a number from %d to %d", FirstCredentialFD, LastCredentialFD))
	case kind == CredentialFile:
		ps.credentialPath(field, value)
	}
}

func (ps *problems) credentialVariable(field, kind, name string) {
	switch {
	case !isVariable(name):
		ps.add(field, kind+": is not followed by the name of a variable", "use letters, digits and _, and no digit first")
	case slices.Contains(steering(), name):
		ps.add(field, name+" says what programs run or load, and so it is no place for a secret", "choose another variable")
	}
}

// ownDirectory is the fix for a file in memory that would hide other files: what
// holds it covers its whole directory.
const ownDirectory = "give it a directory of its own, such as /run/secrets"

// maxFileName is NAME_MAX of linux/limits.h.
const maxFileName = 255

func (ps *problems) credentialPath(field, at string) {
	dir := path.Dir(at)
	switch {
	case !isCleanPath(at) || !isPrintable(at) || at == "/":
		ps.add(field, "file: is not followed by the path of a file that is absolute, clean and printable", `write it in full, such as "file:/run/secrets/token"`)
	case slices.ContainsFunc(strings.Split(at, "/"), func(name string) bool { return len(name) > maxFileName }):
		ps.add(field, fmt.Sprintf("file: is followed by a path with a name of more than %d bytes in it, and no file has one", maxFileName), "choose a shorter one")
	case isBelow(at, madeInside...):
		ps.add(field, quote(at)+" is where each sandbox has its own system's files", ownDirectory)
	case dir == "/" || slices.Contains(commonDirs(), dir) || isBelow(dir, HostDirs()...):
		ps.add(field, quote(dir)+" holds other files, which would be seen no more", ownDirectory)
	}
}

// commonDirs are directories that programs expect to be what they are: those that
// the FHS 3.0 names below the root, but for those that are looked for by themselves
// (madeInside, HostDirs), and in /var and /run.
func commonDirs() []string {
	return []string{
		"/boot", "/etc", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var",
		"/run/lock", "/run/user", "/var/cache", "/var/lib", "/var/lock", "/var/log", "/var/run", "/var/spool", "/var/tmp",
	}
}

// credentialFiles refuses a file in memory whose directory covers, or is covered by,
// a mount or the directory of another.
func (ps *problems) credentialFiles(list []Credential, mounts []Mount) {
	targets, dirs, covered := make(map[string]int), make(map[string]int), make(map[string]int)
	for i, c := range list {
		if dir, ok := c.directory(); ok {
			if _, there := dirs[dir]; !there {
				dirs[dir] = i
			}
		}
	}
	for n, m := range mounts {
		if !isCleanPath(m.SeenAt()) {
			continue // what is wrong with it is said, and nothing bounds how deep it is
		}
		targets[m.SeenAt()] = n
		for dir := range from(m.SeenAt()) {
			covered[dir] = n
		}
	}
	for i, c := range list {
		dir, ok := c.directory()
		if !ok {
			continue
		}
		_, at := c.Target()
		field := credentialAt(i) + ".as"
		m, beside := covered[dir]
		if over, found := nearestOf(targets, from(at)); found {
			m, beside = over, true
		}
		if beside {
			ps.add(field, fmt.Sprintf("%s cannot be shown beside filesystem.mounts[%d], which is at %s", quote(at), m, quote(mounts[m].SeenAt())), ownDirectory)
		}
		if other, found := nearestOf(dirs, above(dir)); found {
			ps.add(field, fmt.Sprintf("the directory of %s is in that of %s", quote(at), credentialAt(other)), "put both files into one directory, such as /run/secrets")
		}
	}
}

// directory is that of the file that c is given as, and that alone is in; false:
// there is none.
func (c Credential) directory() (string, bool) {
	kind, at := c.Target()
	dir := path.Dir(at)
	return dir, kind == CredentialFile && isCleanPath(at) && dir != "/"
}

// from is target, and then the directories above it.
func from(target string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if yield(target) {
			above(target)(yield)
		}
	}
}

// nearestOf is where places has the first of paths that it has.
func nearestOf(places map[string]int, paths iter.Seq[string]) (int, bool) {
	for at := range paths {
		if i, there := places[at]; there {
			return i, true
		}
	}
	return 0, false
}

// isVariable reports whether s can be the name of a variable in a shell, which is
// less than what a kernel takes: a program that gets a secret should find it.
func isVariable(s string) bool {
	return strings.Trim(s, letters+digits+"_") == "" && s != "" && !strings.Contains(digits, s[:1])
}
