package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// meanings say for each field, as policy.Rules names it, what its value does.
var meanings = map[string]func(p *policy.Policy) string{
	"filesystem.root": func(p *policy.Policy) string {
		switch {
		case p.Filesystem.Image != "":
			return "the root directory is that of filesystem.image"
		case p.Filesystem.Root == "":
			return "the root directory is empty"
		case p.Filesystem.Root == policy.RootHost:
			return "the host's " + strings.Join(policy.HostDirs(), ", ") + ", and a made /etc"
		}
		return "this directory of the host, as /; its own files never change"
	},
	"filesystem.image": func(p *policy.Policy) string {
		switch form, _, _ := strings.Cut(p.Filesystem.Image, ":"); {
		case p.Filesystem.Image == "":
			return "no image: filesystem.root says what the root directory holds"
		case form == "rootfs":
			return "this directory of the host, as /, and nothing says that it is what it was; its own files never change"
		case strings.Contains(p.Filesystem.Image, "@sha"):
			return "the files of this image, as /, held against its digest"
		}
		return "the files of this image, as /; a name without a digest can come to mean another image"
	},
	"filesystem.protected": either(func(p *policy.Policy) bool { return len(p.Filesystem.Protected) > 0 },
		"these are applied to the host although they can run code there", "no git hook, start file or setting of an editor is applied to the host"),
	"filesystem.writable": either(func(p *policy.Policy) bool { return p.Filesystem.Writable },
		"the root directory can be written to; that vanishes with the sandbox", "the root directory cannot be written to"),
	"filesystem.tmp_size": either(func(p *policy.Policy) bool { return p.Filesystem.TmpSize > 0 },
		"what all writable places hold together, /tmp and /dev/shm among them", "no place can be written to, /tmp neither"),
	"filesystem.landlock": either(func(p *policy.Policy) bool { return p.Filesystem.Landlock != policy.Off },
		"Landlock grants what the mounts show, and nothing else", "the mounts alone decide what can be opened"),
	"filesystem.mounts": either(func(p *policy.Policy) bool { return p.Filesystem.Image == "" },
		"nothing else of the host; kavach run adds the current directory, read-only", "nothing of the host"),
	"seccomp.profile": func(p *policy.Policy) string {
		switch p.Seccomp.Profile {
		case policy.Off:
			return "no list of Kavach's own"
		case policy.SeccompDefault:
			return "what programs in containers use, without what reaches into the kernel or into other processes"
		}
		return "as default, without what only databases, browsers and debuggers use"
	},
	"seccomp.files": either(func(p *policy.Policy) bool { return len(p.Seccomp.Files) > 0 },
		"each of these must allow a system call too", "no profile of your own"),
	"seccomp.mode": either(func(p *policy.Policy) bool { return p.Seccomp.Mode == policy.SeccompLog },
		"what would be refused is allowed, and listed in the result", "what is not allowed fails, and is listed in the result"),
	"network.loopback": either(func(p *policy.Policy) bool { return p.Network.Loopback },
		"the programs inside reach each other over 127.0.0.1 and ::1; nothing else", "no network, not even loopback"),
	"resources.memory":   fixed("of all commands together, files in memory included"),
	"resources.swap":     fixed("beyond memory"),
	"resources.io_read":  fixed("bytes a second, from each disk"),
	"resources.io_write": fixed("bytes a second, to each disk"),
	"resources.cpus":     fixed("processors' time"),
	"resources.pids":     fixed("processes and threads at once"),
	"resources.output":   fixed("of stdout, and as much of stderr, for each command"),
	"resources.timeout":  fixed("wall time of each command"),
	"process.user": either(func(p *policy.Policy) bool { return p.Process.User != "" },
		"what the command sees itself as; it never is that user on the host", "the command sees itself with the numbers of the caller, or those that its image says"),
	"process.env": fixed("beside PATH, HOME, LANG and those of the image; nothing of the caller's environment is inherited"),
	"process.workdir": either(func(p *policy.Policy) bool { return p.Process.Workdir != "" },
		"where commands start", "/; with kavach run, the current directory; with an image, where that says"),
	"wasm.modules": either(func(p *policy.Policy) bool { return len(p.Wasm.Modules) > 0 },
		"no other module runs, and no other code at all", "any module runs, on backend wasm"),
	"wasm.clock": either(func(p *policy.Policy) bool { return p.Wasm.Clock != "" },
		"a module's clocks start there, and go on with each look; on backend wasm alone", "modules see the machine's clocks"),
	"wasm.seed": either(func(p *policy.Policy) bool { return p.Wasm.Seed != "" },
		"a module's randomness follows from it, and is the same in each run; on backend wasm alone", "modules get the kernel's randomness"),
	"gate.mode": func(p *policy.Policy) string {
		switch p.Gate.Effective().Mode {
		case policy.GateOff:
			return "nothing that leaves is looked at; the result says unscanned"
		case policy.GateCollected:
			return "nothing leaves before all of it has been looked at"
		}
		return "output leaves as it comes, redacted; a file when all of it has been looked at"
	},
	"gate.scanners":   ifScanned(scannersMeaning),
	"gate.redact":     ifScanned(threshold(func(g policy.Gate) string { return g.Redact }, "nothing is redacted", "what is found is replaced by a mark, from this severity on")),
	"gate.quarantine": ifScanned(threshold(func(g policy.Gate) string { return g.Quarantine }, "nothing is kept for somebody to decide", "from this severity on, all of it is withheld, and kept for somebody to decide")),
	"gate.block":      ifScanned(threshold(func(g policy.Gate) string { return g.Block }, "nothing is withheld for good", "from this severity on, all of it is withheld, and not kept")),
	"gate.severity":   ifScanned(fixed("rules have the severities that kavach scan --rules shows")),
	"gate.ignore": ifScanned(either(func(p *policy.Policy) bool { return len(p.Gate.Ignore) > 0 },
		"what these rules find does not count", "what each rule finds counts")),
	"gate.input": ifScanned(either(func(p *policy.Policy) bool { return p.Gate.Input == policy.InputAllowed },
		"what the sandbox was given may come out again, but for known secrets", "what the sandbox was given counts as any where it comes out again")),
	"gate.external": ifScanned(fixed("no program of the host looks too")),
	"credentials":   fixed("commands are given no secret"),
	"require.min_score": either(func(p *policy.Policy) bool { return p.Require.MinScore > 0 },
		"with less proven, nothing runs", "no score is too low"),
	"require.backends": fixed("no other backend is chosen"),
	"best_effort": either(func(p *policy.Policy) bool { return len(p.BestEffort) > 0 },
		"where this machine cannot enforce these, commands run without them", "each control that is asked for must be there"),
}

// ifScanned is say, where anything is looked at at all.
func ifScanned(say func(*policy.Policy) string) func(*policy.Policy) string {
	return func(p *policy.Policy) string {
		if p.Gate.Mode == policy.GateOff {
			return "nothing: gate.mode is off"
		}
		return say(p)
	}
}

// threshold says off where at none of the severities anything is done.
func threshold(at func(policy.Gate) string, off, on string) func(*policy.Policy) string {
	return either(func(p *policy.Policy) bool { return at(p.Gate.Effective()) == policy.Off }, off, on)
}

func scannersMeaning(p *policy.Policy) string {
	words := map[string]string{
		policy.ScannerSecrets: "what has the form of a secret", policy.ScannerPersonal: "personal data",
		policy.ScannerTerminal: "escape sequences that do harm", policy.ScannerContent: "files that do harm",
	}
	looked := []string{"the secrets that the sandbox was given"}
	for _, name := range p.Gate.Effective().Scanners {
		looked = append(looked, words[name])
	}
	return "looked for: " + strings.Join(looked, "; ")
}

func fixed(text string) func(*policy.Policy) string {
	return func(*policy.Policy) string { return text }
}

func either(is func(*policy.Policy) bool, yes, no string) func(*policy.Policy) string {
	return func(p *policy.Policy) string {
		if is(p) {
			return yes
		}
		return no
	}
}

// meaning is what the value of a field does.
func meaning(p *policy.Policy, v policy.Value) string {
	field, key, item := strings.Cut(v.Field, "[")
	if item && field == "filesystem.mounts" {
		for _, m := range p.Filesystem.Mounts {
			if fmt.Sprintf("%q]", m.SeenAt()) == key {
				return mountMeaning(m)
			}
		}
	}
	if item && field == "credentials" {
		for _, c := range p.Credentials {
			if fmt.Sprintf("%q]", c.Name) == key {
				return credentialMeaning(c)
			}
		}
	}
	if say := meanings[field]; say != nil && !item {
		return say(p)
	}
	return itemMeaning(p, field) // of a variable there is no more to say
}

func itemMeaning(p *policy.Policy, field string) string {
	switch {
	case field == "gate.external":
		return "this program of the host sees all that is to leave, and can withhold it"
	case field != "gate.severity":
		return ""
	case p.Gate.Mode == policy.GateOff:
		return "nothing: gate.mode is off"
	}
	return "at least this, where the rule's own severity is lower"
}

func mountMeaning(m policy.Mount) string {
	switch m.Access {
	case policy.AccessWrite:
		return "changes are kept apart, and applied to the host when they have been looked at"
	case policy.AccessDirect:
		return "commands change the host's files themselves, and nothing is looked at"
	}
	return "read-only"
}

// credentialMeaning says how a command gets a secret, and for how long.
func credentialMeaning(c policy.Credential) string {
	kind, value := c.Target()
	text := map[string]string{
		policy.CredentialEnv:         "in the environment of each command, and of all that it starts",
		policy.CredentialPlaceholder: "the variable holds something else, for which the value is put in on the way out; where nothing does that, it is refused",
		policy.CredentialStdin:       "on the stdin of each command, which gets no other input",
		policy.CredentialFD:          "in a pipe, which is descriptor " + value + " of each command",
		policy.CredentialFile:        "in a file that is nowhere but in memory, and that commands can read and not change",
	}[kind]
	after, expires := c.Expires()
	switch {
	case expires:
		text += fmt.Sprintf("; taken back when it ends, or after %s", policy.Duration(after))
	case c.Lifetime == policy.LifetimeSandbox:
		text += "; until the sandbox ends"
	}
	return text
}

// exposures are what a policy does not protect from, and for which policies.
var exposures = []struct {
	when func(p *policy.Policy) bool
	text string
}{
	{always, "bugs in the host's kernel, on backends process and oci: all commands share it; on wasm and gvisor, in what the worker or the sentry needs of it"},
	{always, "side channels: timing, caches, load, the names and versions of what is installed"},
	{always, "commands of one sandbox against each other: they are one user"},
	{func(p *policy.Policy) bool { return len(p.Filesystem.Mounts) > 0 }, "reading what is mounted, and connecting to sockets in it"},
	{func(p *policy.Policy) bool { return hasAccess(p, policy.AccessDirect) }, "changes to the host's files that nobody looked at (access: direct)"},
	{func(p *policy.Policy) bool { return hasAccess(p, policy.AccessWrite) }, "changes that are applied to the host after a look (access: rw): the look finds what is known"},
	{func(p *policy.Policy) bool { return len(p.Filesystem.Protected) > 0 }, "code that runs on the host later, from files that filesystem.protected lets through"},
	{noFilter, "the whole of the kernel's system calls: no filter is in force"},
	{func(p *policy.Policy) bool { return p.Filesystem.Landlock == policy.Off }, "a mistake in the mounts: Landlock is off"},
	{func(p *policy.Policy) bool { return p.Resources.Memory < 0 }, "using up the host's memory: resources.memory is unlimited"},
	{func(p *policy.Policy) bool { return p.Resources.CPUs < 0 }, "using up the host's processors: resources.cpus is unlimited"},
	{func(p *policy.Policy) bool { return p.Resources.PIDs < 0 }, "using up the host's processes: resources.pids is unlimited"},
	{func(p *policy.Policy) bool { return p.Resources.Timeout < 0 }, "commands that never end: resources.timeout is unlimited"},
	{func(p *policy.Policy) bool { return len(p.BestEffort) > 0 }, "machines that cannot enforce what is under best_effort"},
	{func(p *policy.Policy) bool { return p.Require.MinScore == 0 }, "a backend that proves little: require.min_score is 0"},
	{func(p *policy.Policy) bool { return len(p.Process.Env) > 0 }, "the command reading its own environment: no variable is a secret to it"},
	{func(p *policy.Policy) bool { return len(p.Credentials) > 0 }, "what a command does with a secret that it is given (credentials): it can keep it, and hand it to others inside"},
	{gives(func(c policy.Credential) bool { return c.Shared }), "users of the host who can read the file that a secret is in (shared)"},
	{gives(fromProgram), "bugs in the programs that print secrets (cmd:PROGRAM): they run on the host"},
	{func(p *policy.Policy) bool { return p.Gate.Mode == policy.GateOff }, "secrets in what leaves: gate.mode is off, and nothing is looked at"},
	{scanned, "what leaves in a form that no scanner knows: a program that wants to can encode it so"},
	{liveGate, "the beginning of what is known to be bad only later on: live output has left by then (gate.mode: live)"},
	{releasesAll, "what the gate finds: it is told, and leaves all the same"},
	{without(policy.ScannerSecrets), "secrets in what leaves that the sandbox was not given: gate.scanners does not name secrets"},
	{without(policy.ScannerPersonal), "personal data in what leaves: gate.scanners does not name personal"},
	{without(policy.ScannerTerminal), "escape sequences that do harm on a terminal: gate.scanners does not name terminal"},
	{without(policy.ScannerContent), "files that do harm: gate.scanners does not name content"},
	{func(p *policy.Policy) bool { return scanned(p) && p.Gate.Input == policy.InputAllowed }, "secrets in what the sandbox was given, which come out again (gate.input: allowed)"},
	{ignores, "what the rules that are named in gate.ignore find: it does not count"},
	{func(p *policy.Policy) bool { return len(p.Gate.External) > 0 }, "bugs in the programs of gate.external: they run on the host, and read what the sandbox made"},
}

func always(*policy.Policy) bool { return true }

func scanned(p *policy.Policy) bool { return p.Gate.Mode != policy.GateOff }

func without(scanner string) func(*policy.Policy) bool {
	return func(p *policy.Policy) bool {
		return scanned(p) && !slices.Contains(p.Gate.Effective().Scanners, scanner)
	}
}

// gives reports whether a policy has a credential that is like that.
func gives(is func(policy.Credential) bool) func(*policy.Policy) bool {
	return func(p *policy.Policy) bool { return slices.ContainsFunc(p.Credentials, is) }
}

func fromProgram(c policy.Credential) bool {
	kind, _ := c.Where()
	return kind == policy.CredentialCommand
}

func ignores(p *policy.Policy) bool { return scanned(p) && len(p.Gate.Ignore) > 0 }

func liveGate(p *policy.Policy) bool { return p.Gate.Effective().Mode == policy.GateLive }

// releasesAll reports whether nothing comes of what the gate finds.
func releasesAll(p *policy.Policy) bool {
	g := p.Gate.Effective()
	return scanned(p) && g.Redact == policy.Off && g.Quarantine == policy.Off && g.Block == policy.Off
}

func noFilter(p *policy.Policy) bool {
	return p.Seccomp.Mode == policy.SeccompLog || p.Seccomp.Profile == policy.Off && len(p.Seccomp.Files) == 0
}

func hasAccess(p *policy.Policy, access string) bool {
	for _, m := range p.Filesystem.Mounts {
		if m.Access == access {
			return true
		}
	}
	return false
}

func notProtected(p *policy.Policy) []string {
	var list []string
	for _, e := range exposures {
		if e.when(p) {
			list = append(list, e.text)
		}
	}
	return list
}
