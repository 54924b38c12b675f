package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// No problem here repeats what stands where a value may have been written by
// mistake: errors are shown and logged. Names are repeated once they have the form
// of one, and paths inside.

// Check says what is wrong with c by itself: nil, or what errors.Join makes of one
// *FieldError a problem, whose Field is "name", "source", "as", "lifetime" or
// "shared". Where custom, something else than its Source says where the value is, and
// that is a label: any printable text, or none.
func (c *Credential) Check(custom bool) error {
	var found problems
	found.credential("", c, custom)
	return errors.Join(found...)
}

// CheckCredentials is what Validate does with a policy's list, for one that commands
// are given whatever the policy says, beside these mounts. custom says of each whether
// its Source is but a label, as with Check. Nil: of none.
func CheckCredentials(list []Credential, custom func(i int) bool, mounts ...Mount) error {
	var found problems
	if custom == nil {
		custom = func(int) bool { return false }
	}
	found.credentials(list, mounts, custom)
	return errors.Join(found...)
}

func (ps *problems) credentials(list []Credential, mounts []Mount, custom func(i int) bool) {
	for i := range list {
		ps.credential(credentialAt(i)+".", &list[i], custom(i))
	}
	ps.credentialTwins(list, custom)
	ps.credentialFiles(list, mounts)
}

func credentialAt(i int) string { return fmt.Sprintf("credentials[%d]", i) }

func (ps *problems) credential(at string, c *Credential, custom bool) {
	ps.credentialName(at+"name", c.Name)
	kind, value := c.Where()
	if custom {
		ps.credentialLabel(at+"source", c.Source)
	} else {
		ps.credentialSource(at+"source", c.Source, kind, value)
	}
	ps.credentialTarget(at+"as", c)
	ps.credentialLifetime(at+"lifetime", c)
	if c.Shared && (custom || kind != CredentialFile) {
		ps.add(at+"shared", "only a file can be read by others, and the source is none", "leave it out")
	}
}

// maxCredentialName is how long a name is at most, in bytes.
const maxCredentialName = 256

const (
	digits          = "0123456789"
	letters         = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	credentialChars = letters + digits + "._/:@-"
)

func (ps *problems) credentialName(field, name string) {
	switch {
	case name == "":
		ps.add(field, "is missing", `give it a name, such as "GITHUB_TOKEN"`)
	case len(name) > maxCredentialName:
		ps.add(field, fmt.Sprintf("has %d bytes, and a name has %d at most", len(name), maxCredentialName), "give it a shorter name")
	case strings.Trim(name, credentialChars) != "":
		ps.add(field, "holds what no name does", "use letters, digits and ._/:@- ; the value itself is never written into a policy")
	}
}

func (ps *problems) credentialLabel(field, label string) {
	if len(label) > maxPath || !isPrintable(label) {
		ps.add(field, fmt.Sprintf("is not printable text, or longer than %d bytes", maxPath), "say in a few words where the value is from")
	}
}

// notASource is said where nothing of a source is known, and so nothing of it shown.
const notASource = "the source is none of env:NAME, file:PATH, stdin, fd:N, cmd:PROGRAM"

func (ps *problems) credentialSource(field, source, kind, value string) {
	switch {
	case source == "":
		ps.add(field, "is missing", `say where the value is, such as "env:GITHUB_TOKEN" or "file:/etc/kavach/token"`)
	case kind == "":
		ps.add(field, notASource, "a value itself is never written into a policy")
	case kind == CredentialStdin:
	case !isPrintable(value):
		ps.add(field, kind+": is followed by what is not printable text", "write env:NAME, file:PATH, stdin, fd:N or cmd:PROGRAM")
	case kind == CredentialEnv && (value == "" || strings.Contains(value, "=")):
		ps.add(field, "env: is not followed by the name of a variable", "write env:NAME; a value itself is never written into a policy")
	case kind == CredentialFile && !isCleanPath(value):
		ps.add(field, "file: is not followed by a path that is absolute and clean", `write it in full, such as "file:/etc/kavach/token"`)
	case kind == CredentialFD && !isFD(value, maxFD):
		ps.add(field, "fd: is not followed by the number of a descriptor that Kavach can inherit", "write a number from 3 on, such as fd:3")
	case kind == CredentialCommand && !isProgram(value):
		ps.add(field, "cmd: is not followed by a program alone: an absolute and clean path, or a name that is looked up in PATH",
			"write no arguments, as the program is asked for the credential's name, and is run by no shell")
	}
}

func (ps *problems) credentialLifetime(field string, c *Credential) {
	kind, _ := c.Target()
	_, expires := c.Expires()
	switch lifetime := c.Effective().Lifetime; {
	case lifetime == LifetimeCommand || kind == "": // that there is no such way is said
	case lifetime == LifetimeSandbox:
		if kind != CredentialFile {
			ps.add(field, "only a file in memory can outlive the command, and this is given otherwise", `leave it out, or set as to file:PATH`)
		}
	case !expires:
		ps.add(field, "is none of command, sandbox and a positive duration", "write one such as 10m")
	case kind == CredentialEnv || kind == CredentialPlaceholder:
		ps.add(field, "what is in an environment cannot be taken back after a time", "leave it out, or give it as a file:PATH, an fd:N or stdin")
	}
}

// credentialTwins refuses what can be there only once: a name, a target, and a source
// that is at its end when it was read.
func (ps *problems) credentialTwins(list []Credential, custom func(i int) bool) {
	names, targets, sources := make(map[string]int), make(map[string]int), make(map[string]int)
	once := func(first map[string]int, key, field, what, fix string, i int) {
		if at, taken := first[key]; taken {
			other := credentialAt(at)
			if name := list[at].Name; name != "" && strings.Trim(name, credentialChars) == "" && field != ".name" {
				other += " (" + name + ")"
			}
			ps.add(credentialAt(i)+field, what+" of "+other+" too", fix)
			return
		}
		first[key] = i
	}
	for i, c := range list {
		if c.Name != "" {
			once(names, c.Name, ".name", "is the name", "give one of them another name", i)
		}
		kind, value := c.Target()
		if kind == CredentialPlaceholder {
			kind = CredentialEnv // one variable, whichever it holds
		}
		if kind != "" {
			once(targets, kind+":"+value, ".as", "is where the command gets that", "give one of them another way", i)
		}
		if kind, _ := c.Where(); (kind == CredentialStdin || kind == CredentialFD) && !custom(i) {
			once(sources, c.Source, ".source", "can be read once only, and is the source", "give one of them another source", i)
		}
	}
}

// maxFD is the largest number that a descriptor can have: fs.nr_open is at most
// INT_MAX without its last six bits (sysctl_nr_open_max, fs/file.c of Linux).
const maxFD = 1<<31 - 65

// isFD reports whether s is the number of a descriptor beyond stdio.
func isFD(s string, last uint64) bool {
	n, err := strconv.ParseUint(s, 10, 31)
	return err == nil && n >= FirstCredentialFD && n <= last && strconv.FormatUint(n, 10) == s
}

// isProgram reports whether s is a path or a name, with no arguments behind it.
func isProgram(s string) bool {
	if strings.ContainsFunc(s, unicode.IsSpace) {
		return false
	}
	return isCleanPath(s) && s != "/" || s != "" && s != "." && s != ".." && !strings.Contains(s, "/")
}

// isCleanPath is what path checks, where what is wrong is not to be repeated.
func isCleanPath(s string) bool { return new(problems).path("", s) }

func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
