package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func given(list ...Credential) Policy { return Policy{Credentials: list} }

// secretText stands for a value that somebody wrote where it does not belong.
const secretText = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"

func TestCredentialsRefused(t *testing.T) {
	from := func(source string) Policy { return given(Credential{Name: "T", Source: source}) }
	as := func(way string) Policy { return given(Credential{Name: "T", Source: "env:T", As: way}) }
	named := func(name string) Policy { return given(Credential{Name: name, Source: "env:T", As: "stdin"}) }
	lasts := func(way, lifetime string) Policy {
		return given(Credential{Name: "T", Source: "env:T", As: way, Lifetime: lifetime})
	}
	two := func(a, b Credential) Policy {
		a.Name, b.Name = "A", "B"
		return given(a, b)
	}
	beside := func(way, target string) Policy {
		p := as(way)
		p.Filesystem.Mounts = []Mount{{Source: "/src", Target: target}}
		return p
	}
	const (
		own       = "; give it a directory of its own, such as /run/secrets"
		noSource  = "credentials[0].source: the source is none of env:NAME, file:PATH, stdin, fd:N, cmd:PROGRAM; a value itself is never written into a policy"
		noName    = "credentials[0].name: holds what no name does; use letters, digits and ._/:@- ; the value itself is never written into a policy"
		noFile    = `credentials[0].source: file: is not followed by a path that is absolute and clean; write it in full, such as "file:/etc/kavach/token"`
		noFD      = "credentials[0].source: fd: is not followed by the number of a descriptor that Kavach can inherit; write a number from 3 on, such as fd:3"
		noProgram = "credentials[0].source: cmd: is not followed by a program alone: an absolute and clean path, or a name that is looked up in PATH; " +
			"write no arguments, as the program is asked for the credential's name, and is run by no shell"
		noWay    = `credentials[0].as: the way is none of env:VAR, stdin, fd:N, file:PATH, placeholder:VAR; name one, such as "env:TOKEN"`
		noVar    = "credentials[0].as: env: is not followed by the name of a variable; use letters, digits and _, and no digit first"
		noAsFD   = "credentials[0].as: fd: is not followed by the number of a descriptor that a command can be given; write a number from 3 to 63"
		noAsFile = `credentials[0].as: file: is not followed by the path of a file that is absolute, clean and printable; write it in full, such as "file:/run/secrets/token"`
		outlive  = "credentials[0].lifetime: only a file in memory can outlive the command, and this is given otherwise; leave it out, or set as to file:PATH"
		stays    = "credentials[0].lifetime: what is in an environment cannot be taken back after a time; leave it out, or give it as a file:PATH, an fd:N or stdin"
		noTime   = "credentials[0].lifetime: is none of command, sandbox and a positive duration; write one such as 10m"
		noShare  = "credentials[0].shared: only a file can be read by others, and the source is none; leave it out"
	)
	tests := []struct {
		p         Policy
		want, why string
	}{
		{named(""), `credentials[0].name: is missing; give it a name, such as "GITHUB_TOKEN"`, "no name"},
		{named(strings.Repeat("x", 257)), "credentials[0].name: has 257 bytes, and a name has 256 at most; give it a shorter name", "a name that is a file"},
		{named("A=" + secretText), noName, "the value behind the name"},
		{named("a b"), noName, "a space"},
		{named("a\x00"), noName, "NUL"},
		{named("tökén"), noName, "not ASCII"},

		{from(""), `credentials[0].source: is missing; say where the value is, such as "env:GITHUB_TOKEN" or "file:/etc/kavach/token"`, "no source"},
		{from(secretText), noSource, "the value itself"},
		{from("literal:" + secretText), noSource, "the value, with a kind that there is not"},
		{from("/etc/token"), noSource, "a path needs its kind"},
		{from("stdin:"), noSource, "stdin has nothing behind it"},
		{from("Env:T"), noSource, "case counts"},
		{from("env:"), "credentials[0].source: env: is not followed by the name of a variable; write env:NAME; a value itself is never written into a policy", "no variable"},
		{from("env:T=" + secretText), "credentials[0].source: env: is not followed by the name of a variable; write env:NAME; a value itself is never written into a policy", "the value behind the variable"},
		{from("env:T\x00"), "credentials[0].source: env: is followed by what is not printable text; write env:NAME, file:PATH, stdin, fd:N or cmd:PROGRAM", "NUL"},
		{from("file:/a\n" + secretText), "credentials[0].source: file: is followed by what is not printable text; write env:NAME, file:PATH, stdin, fd:N or cmd:PROGRAM", "a second line, which a log would take for one of its own"},
		{from("file:" + secretText), noFile, "the value in the place of a path"},
		{from("file:~/token"), noFile, "no shell is there to put a home in"},
		{from("file:/a/../b"), noFile, "climbs"},
		{from("fd:2"), noFD, "stdio"},
		{from("fd:03"), noFD, "two spellings"},
		{from("fd:+3"), noFD, "a sign"},
		{from("fd:99999999999"), noFD, "more than there can be"},
		{from("fd:" + secretText), noFD, "no number"},
		{from("cmd:"), noProgram, "nothing to run"},
		{from("cmd:echo " + secretText), noProgram, "a command line, and the value in it"},
		{from("cmd:/bin/echo\u00a0x"), "credentials[0].source: cmd: is followed by what is not printable text; write env:NAME, file:PATH, stdin, fd:N or cmd:PROGRAM", "a space that is none"},
		{from("cmd:./helper"), noProgram, "relative to what?"},
		{from("cmd:bin/helper"), noProgram, "relative to what?"},
		{from("cmd:.."), noProgram, "a directory"},
		{from("cmd:/"), noProgram, "a directory"},

		{given(Credential{Name: "my-token", Source: "stdin"}), `credentials[0].as: is missing, and the credential's name cannot be that of a variable; name the way, such as "env:TOKEN" or "file:/run/secrets/token"`, "no variable has such a name"},
		{given(Credential{Name: "PATH", Source: "stdin"}), "credentials[0].as: PATH says what programs run or load, and so it is no place for a secret; choose another variable", "nobody said so, and still"},
		{as(secretText), noWay, "a value in the place of a way"},
		{as("stdout"), noWay, "there is no such way"},
		{as("cmd:x"), noWay, "a source, and no way"},
		{as("env:"), noVar, "no variable"},
		{as("env:1A"), noVar, "a digit first"},
		{as("env:A=" + secretText), noVar, "="},
		{as("env:LD_PRELOAD"), "credentials[0].as: LD_PRELOAD says what programs run or load, and so it is no place for a secret; choose another variable", "each program would load it"},
		{as("placeholder:BASH_ENV"), "credentials[0].as: BASH_ENV says what programs run or load, and so it is no place for a secret; choose another variable", "what is in its place, too"},
		{as("placeholder:a-b"), "credentials[0].as: placeholder: is not followed by the name of a variable; use letters, digits and _, and no digit first", "no variable"},
		{as("fd:2"), noAsFD, "stdio"},
		{as("fd:64"), noAsFD, "beyond the last"},
		{as("fd:"), noAsFD, "no number"},

		{as("file:token"), noAsFile, "relative"},
		{as("file:/"), noAsFile, "no file"},
		{as("file:/run/secrets/"), noAsFile, "two spellings"},
		{as("file:/run/secrets/" + strings.Repeat("x", 256)), "credentials[0].as: file: is followed by a path with a name of more than 255 bytes in it, and no file has one; choose a shorter one", "NAME_MAX"},
		{as("file:/run/secrets/../token"), noAsFile, "climbs"},
		{as("file:/run/secrets/a\x1b[0m"), noAsFile, "escapes for a terminal"},
		{as("file:/token"), `credentials[0].as: "/" holds other files, which would be seen no more` + own, "all there is"},
		{as("file:/tmp/token"), `credentials[0].as: "/tmp" holds other files, which would be seen no more` + own, "what others use"},
		{as("file:/run/token"), `credentials[0].as: "/run" holds other files, which would be seen no more` + own, "what others use"},
		{as("file:/etc/token"), `credentials[0].as: "/etc" holds other files, which would be seen no more` + own, "what others use"},
		{as("file:/var/run/token"), `credentials[0].as: "/var/run" holds other files, which would be seen no more` + own, "/run, by another name"},
		{as("file:/usr/lib/token"), `credentials[0].as: "/usr/lib" holds other files, which would be seen no more` + own, "the host's own"},
		{as("file:/lib64/x"), `credentials[0].as: "/lib64" holds other files, which would be seen no more` + own, "no program would start"},
		{as("file:/proc/x/token"), `credentials[0].as: "/proc/x/token" is where each sandbox has its own system's files` + own, "below /proc"},
		{as("file:/dev/shm/token"), `credentials[0].as: "/dev/shm/token" is where each sandbox has its own system's files` + own, "below /dev"},
		{as("file:/sys"), `credentials[0].as: "/sys" is where each sandbox has its own system's files` + own, "/sys itself"},
		{beside("file:/w/token", "/w"), `credentials[0].as: "/w/token" cannot be shown beside filesystem.mounts[0], which is at "/w"` + own, "the mount is covered"},
		{beside("file:/w/deep/token", "/w"), `credentials[0].as: "/w/deep/token" cannot be shown beside filesystem.mounts[0], which is at "/w"` + own, "its directory would be made in the host's"},
		{beside("file:/w/token", "/w/token"), `credentials[0].as: "/w/token" cannot be shown beside filesystem.mounts[0], which is at "/w/token"` + own, "two files at one path"},
		{beside("file:/w/token", "/w/data/x"), `credentials[0].as: "/w/token" cannot be shown beside filesystem.mounts[0], which is at "/w/data/x"` + own, "the mount would be seen no more"},

		{lasts("env:T", "sandbox"), outlive, "an environment ends with its command"},
		{lasts("stdin", "sandbox"), outlive, "so does a pipe"},
		{lasts("env:T", "10m"), stays, "nobody can take it"},
		{lasts("placeholder:T", "10m"), stays, "nobody can take it"},
		{lasts("stdin", secretText), noTime, "a value"},
		{lasts("stdin", "-5m"), noTime, "negative"},
		{lasts("stdin", "0s"), noTime, "zero"},
		{lasts("stdin", "unlimited"), noTime, "a secret is always bounded"},
		{lasts("stdin", "10"), noTime, "ten of what?"},
		{given(Credential{Name: "T", Source: "env:T", Shared: true}), noShare, "no file"},

		{given(Credential{Name: "A", Source: "env:A"}, Credential{Name: "A", Source: "env:B", As: "env:B"}), "credentials[1].name: is the name of credentials[0] too; give one of them another name", "one name twice"},
		{two(Credential{Source: "stdin"}, Credential{Source: "stdin"}), "credentials[1].source: can be read once only, and is the source of credentials[0] (A) too; give one of them another source", "whose is it?"},
		{two(Credential{Source: "fd:3"}, Credential{Source: "fd:3"}), "credentials[1].source: can be read once only, and is the source of credentials[0] (A) too; give one of them another source", "whose is it?"},
		{two(Credential{Source: "env:X", As: "stdin"}, Credential{Source: "env:X", As: "stdin"}), "credentials[1].as: is where the command gets that of credentials[0] (A) too; give one of them another way", "one stdin"},
		{two(Credential{Source: "env:X", As: "env:V"}, Credential{Source: "env:Y", As: "placeholder:V"}), "credentials[1].as: is where the command gets that of credentials[0] (A) too; give one of them another way", "one variable"},
		{two(Credential{Source: "env:X"}, Credential{Source: "env:Y", As: "env:A"}), "credentials[1].as: is where the command gets that of credentials[0] (A) too; give one of them another way", "one variable, which one of them does not name"},
		{two(Credential{Source: "env:X", As: "file:/s/a"}, Credential{Source: "env:Y", As: "file:/s/a"}), "credentials[1].as: is where the command gets that of credentials[0] (A) too; give one of them another way", "one file"},
		{two(Credential{Source: "env:X", As: "file:/s/a"}, Credential{Source: "env:Y", As: "file:/s/a/b"}), `credentials[1].as: the directory of "/s/a/b" is in that of credentials[0]; put both files into one directory, such as /run/secrets`, "a file that is a directory"},
		{two(Credential{Source: "env:X", As: "file:/s/deep/a"}, Credential{Source: "env:Y", As: "file:/s/b"}), `credentials[0].as: the directory of "/s/deep/a" is in that of credentials[1]; put both files into one directory, such as /run/secrets`, "one covers the other"},
	}
	for _, test := range tests {
		err := test.p.Validate()
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %v", test.why, err, test.want)
		}
		if field := (*FieldError)(nil); !errors.As(err, &field) {
			t.Errorf("%s: %T holds no FieldError", test.why, err)
		}
	}
}

func TestCredentialsTaken(t *testing.T) {
	one := func(c Credential) Policy { return given(c) }
	mounted := given(Credential{Name: "T", Source: "env:T", As: "file:/work.secrets/token"})
	mounted.Filesystem.Mounts = []Mount{{Source: "/work"}}
	tests := []struct {
		p   Policy
		why string
	}{
		{one(Credential{Name: "GITHUB_TOKEN", Source: "env:GH"}), "as the variable of that name"},
		{one(Credential{Name: "https://user@host:1/a-b._", Source: "cmd:git-helper", As: "stdin"}), "all that a name can hold"},
		{one(Credential{Name: strings.Repeat("x", 256), Source: "stdin"}), "the longest name"},
		{one(Credential{Name: "T", Source: "env:MÜLL-%7 x"}), "any variable that Kavach can have"},
		{one(Credential{Name: "T", Source: "file:/a b/..token", Shared: true, As: "fd:63", Lifetime: "1h30m"}), "the corners"},
		{one(Credential{Name: "T", Source: "cmd:/usr/bin/helper", As: "file:/run/secrets/token", Lifetime: "sandbox"}), "until the sandbox ends"},
		{one(Credential{Name: "T", Source: "fd:3", As: "fd:3", Lifetime: "command"}), "the least descriptor"},
		{one(Credential{Name: "T", Source: "stdin", As: "placeholder:T_1"}), "something in its place"},
		{given(Credential{Name: "A", Source: "file:/a", As: "file:/s/a"}, Credential{Name: "B", Source: "file:/a", As: "file:/s/b"},
			Credential{Name: "C", Source: "env:C", As: "file:/sx/c"}, Credential{Name: "D", Source: "env:C"}), "one source twice, one directory twice, and one that begins alike"},
		{mounted, "a directory that begins like a mount"},
		{one(Credential{Name: "T", Source: "env:T", As: "file:/etc/app/token"}), "a directory of its own in one that others use"},
	}
	for _, test := range tests {
		if err := test.p.Validate(); err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

// No text of a credential that is wrong gets into an error, wherever it was put.
func TestCredentialErrorsAreSilent(t *testing.T) {
	const text = "p4ss word=\x01"
	for _, c := range []Credential{
		{Name: text, Source: "stdin"}, {Name: "T", Source: text}, {Name: "T", Source: "stdin", As: text}, {Name: "T", Source: "stdin", As: "fd:3", Lifetime: text},
		{Name: "T", Source: "env:" + text}, {Name: "T", Source: "file:" + text}, {Name: "T", Source: "file:/" + text}, {Name: "T", Source: "fd:" + text}, {Name: "T", Source: "cmd:" + text},
		{Name: "T", Source: "stdin", As: "env:" + text}, {Name: "T", Source: "stdin", As: "fd:" + text}, {Name: "T", Source: "stdin", As: "file:" + text}, {Name: "T", Source: "stdin", As: "placeholder:" + text},
	} {
		p := given(c, c)
		err := p.Validate()
		if err == nil {
			t.Errorf("%+v is taken", c)
		} else if strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%v repeats what may be a value", err)
		}
	}
}

func TestCheckCredentials(t *testing.T) {
	label := Credential{Name: "db", Source: "vault: kv/data/db", As: "stdin"}
	if err := label.Check(true); err != nil {
		t.Errorf("a label: %v", err)
	}
	if err := label.Check(false); err == nil || !strings.HasPrefix(err.Error(), "source: ") {
		t.Errorf("a source that is none: %v", err)
	}
	for why, c := range map[string]Credential{
		"not printable": {Name: "db", Source: "a\nb", As: "stdin"}, "too long": {Name: "db", Source: strings.Repeat("x", 5000), As: "stdin"},
		"no file": {Name: "db", Source: "file:/a", As: "stdin", Shared: true},
	} {
		if err := c.Check(true); err == nil {
			t.Errorf("%s, and a label all the same", why)
		}
	}

	mount := Mount{Source: "/w"}
	list := []Credential{{Name: "a", Source: "stdin", As: "stdin"}, {Name: "b", Source: "stdin", As: "fd:3"}, {Name: "c", Source: "env:C", As: "file:/s/c"}}
	if err := CheckCredentials(list, func(i int) bool { return i == 1 }, mount); err != nil {
		t.Errorf("a label that reads like stdin: %v", err)
	}
	if err := CheckCredentials(list, nil); err == nil {
		t.Error("stdin is the source of two")
	}
	list[2].As = "file:/w/c"
	if err := CheckCredentials(list[2:], nil); err != nil {
		t.Errorf("a file, and no mounts: %v", err)
	}
	if err := CheckCredentials(list[2:], nil, mount); err == nil || !strings.Contains(err.Error(), "filesystem.mounts[0]") {
		t.Errorf("a file in a mount: %v", err)
	}
}

func TestCredentialParts(t *testing.T) {
	c := Credential{Name: "T", Source: "file:/a:b"}
	if got := c.Effective(); got.As != "env:T" || got.Lifetime != "command" || got.Source != c.Source {
		t.Errorf("in effect %+v", got)
	}
	for source, want := range map[string][2]string{
		"env:A": {"env", "A"}, "file:/a:b": {"file", "/a:b"}, "stdin": {"stdin", ""}, "fd:3": {"fd", "3"}, "cmd:x": {"cmd", "x"},
		"stdin:x": {}, "placeholder:X": {}, "vault": {}, "": {}, "env": {},
	} {
		if kind, value := (Credential{Source: source}).Where(); kind != want[0] || value != want[1] {
			t.Errorf("%q is %q, %q", source, kind, value)
		}
	}
	for as, want := range map[string][2]string{
		"": {"env", "T"}, "env:A": {"env", "A"}, "placeholder:A": {"placeholder", "A"}, "stdin": {"stdin", ""}, "fd:3": {"fd", "3"}, "file:/a": {"file", "/a"}, "cmd:x": {},
	} {
		if kind, value := (Credential{Name: "T", As: as}).Target(); kind != want[0] || value != want[1] {
			t.Errorf("%q is %q, %q", as, kind, value)
		}
	}
	for lifetime, want := range map[string]time.Duration{"": 0, "command": 0, "sandbox": 0, "10m": 10 * time.Minute, "x": 0, "unlimited": 0} {
		if d, expires := (Credential{Lifetime: lifetime}).Expires(); expires != (want > 0) || expires && d != want {
			t.Errorf("%q: %v, %v", lifetime, d, expires)
		}
	}
}
