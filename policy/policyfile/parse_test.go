package policyfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

func TestParseRefuses(t *testing.T) {
	const noTag = `; remove it; as text, what begins with "!" needs quotes`
	tests := []struct {
		file string
		want string // without "p:"; each line is one error
		why  string
	}{
		// Files as a whole.
		{"", ` holds no policy; write {} for the policy that denies everything`, "an empty file is a mistake"},
		{"# only\n# comments\n", ` holds no policy; write {} for the policy that denies everything`, "comments only"},
		{"null\n", ` holds no policy; write {} for the policy that denies everything`, "null"},
		{"~", ` holds no policy; write {} for the policy that denies everything`, "null, spelled otherwise"},
		{"---\n---\nname: b\n", ` holds no policy; write {} for the policy that denies everything`, "an empty first document"},
		{"name: a\n---\nname: b\n", `2:1: more than one YAML document; give each policy a file of its own`, "which of them counts?"},
		{"name: a\n---\n", `2:1: more than one YAML document; give each policy a file of its own`, "an empty second document"},
		{"name: a\n---\n}{", `2: not valid YAML: did not find expected node content`, "a broken second document"},
		{"name: a\xff", `1:8: not valid UTF-8; save the file as UTF-8`, "no text"},
		{"\xff\xfe{\x00}\x00", `1:1: not valid UTF-8; save the file as UTF-8`, "UTF-16"},
		{"name: x\n#é\x01", `2:3: not valid YAML: control character U+0001; write it as an escape in "quotes"`, "columns count characters"},
		{"- name: x", `1:1: expected a mapping with the keys name, filesystem, seccomp, network, resources, process, wasm, gate, credentials, require, best_effort, found a list`, "a policy is a mapping"},
		{"strict", `1:1: expected a mapping with the keys name, filesystem, seccomp, network, resources, process, wasm, gate, credentials, require, best_effort, found text`, "a policy is a mapping"},

		// Syntax.
		{"a: b: c", `1: not valid YAML: mapping values are not allowed in this context`, "the first line"},
		{"name: x\nnetwork:\n  a: b: c\n", `3: not valid YAML: mapping values are not allowed in this context`, "a later line"},
		{"name: x\nnetwork:\n\tloopback: true\n", `3: not valid YAML: found character that cannot start any token`, "a tab"},
		{`{"name": "a",}`, `1:14: not valid JSON: invalid character '}' looking for beginning of object key string`, "a trailing comma"},
		{"{\n \"é\": x}", `2:7: not valid JSON: invalid character 'x' looking for beginning of value`, "a bare word"},
		{`{} {}`, `1:4: not valid JSON: invalid character '{' after top-level value`, "two objects"},
		{`{`, `1:1: not valid JSON: unexpected end of JSON input`, "cut off"},
		{`{filesystem: {root: host}}`, `1:2: not valid JSON: invalid character 'f' looking for beginning of object key string`, "YAML that begins like JSON is read as JSON"},
		{`{"name": "\ud83d!"}`, `1:10: not valid JSON: half of a surrogate pair; write both halves, such as "\ud83d\ude00"`, "half a character"},
		{`{"name": "\ude00\ud83d"}`, `1:10: not valid JSON: half of a surrogate pair; write both halves, such as "\ud83d\ude00"`, "the halves swapped"},
		{`{"\udFFF": ""}`, `1:2: not valid JSON: half of a surrogate pair; write both halves, such as "\ud83d\ude00"`, "half a character in a key"},

		// What makes a file mean something else than it seems to.
		{"name: &a x", `1:7: anchors and aliases are not allowed; write the value out in each place`, "an anchor"},
		{"name: &a x\nnetwork: *a", "1:7: anchors and aliases are not allowed; write the value out in each place\n2:10: anchors and aliases are not allowed; write the value out in each place", "an alias"},
		{"&a name: x", `1:1: anchors and aliases are not allowed; write the value out in each place`, "an anchor at a key"},
		{"name: *a", `1: not valid YAML: an alias of an anchor that is not there; as text, what begins with "*" needs quotes`, "an alias of nothing"},
		{"network:\n  <<: {loopback: true}", `2:3: merge keys are not allowed; write the keys out; as text, "<<" needs quotes`, "a merge key"},
		{"name: !!binary aGk=", `1:7: tags are not allowed` + noTag, "a tag that changes the value"},
		{"network: !!map {}", `1:10: tags are not allowed` + noTag, "a tag that says nothing new"},
		{"name: !exec x", `1:7: tags are not allowed` + noTag, "a tag of somebody's own"},
		{"name:\n" + strings.Repeat(" -", 20), `2:34: nested deeper than 16 levels; a policy needs 4`, "deep nesting"},
		{`{"name": ` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "}", `1:26: nested deeper than 16 levels; a policy needs 4`, "deep nesting in JSON"},

		// Keys.
		{"filesystem:\n  root: host\n  tmp_sise: 1m\n", `3:3: filesystem.tmp_sise: unknown key; did you mean "tmp_size"?`, "a typo"},
		{"{\n  \"filesystem\": {\n    \"tmp_sise\": \"1m\"}}", `3:5: filesystem.tmp_sise: unknown key; did you mean "tmp_size"?`, "a typo in JSON"},
		{"preset: basic", `1:1: preset: unknown key; the keys are name, filesystem, seccomp, network, resources, process, wasm, gate, credentials, require, best_effort`, "nothing is near"},
		{"\"a\\nb\": 1", `1:1: "a\nb": unknown key; the keys are name, filesystem, seccomp, network, resources, process, wasm, gate, credentials, require, best_effort`, "an error is one line"},
		{"Name: x", `1:1: Name: unknown key; did you mean "name"?`, "case counts"},
		{"name: a\nname: b", `2:1: name: duplicate key; the first is on line 1; remove one`, "which of them counts?"},
		{"{\"name\": \"a\",\n\"n\\u0061me\": \"b\"}", `2:1: name: duplicate key; the first is on line 1; remove one`, "an escaped duplicate"},
		{"process:\n  env:\n    A: x\n    \"A\": x", `4:5: process.env["A"]: duplicate key; the first is on line 3; remove one`, "a duplicate variable"},
		{"1: x", `1:1: expected a key that is text, found a number; put it in quotes`, "a number as key"},
		{"? [a]\n: b", `1:3: expected a key that is text, found a list`, "a list as key"},

		// Types.
		{"name: 5", `1:7: name: expected text, found the number 5; put it in quotes: "5"`, "a number for text"},
		{"process:\n  user: 010", `2:9: process.user: "010" is neither a uid nor uid:gid; write numbers from 0 to 4294967294, such as "1000:1000"`, "eight, or ten?"},
		{"process: {user: 0x10}", `1:17: process.user: "0x10" is neither a uid nor uid:gid; write numbers from 0 to 4294967294, such as "1000:1000"`, "a number that is not decimal"},
		{"process: {user: 1.5}", `1:17: process.user: expected text, found the number 1.5; put it in quotes: "1.5"`, "no uid"},
		{"filesystem: {landlock: true}", `1:24: filesystem.landlock: expected text, found the boolean true`, "on is not true"},
		{"process: {env: {A: true}}", `1:20: process.env["A"]: expected text, found the boolean true; put it in quotes: "true"`, "a variable is text"},
		{"process: {env: [A=1]}", `1:16: process.env: expected a mapping of names to text, found a list`, "the form of docker-compose"},
		{"filesystem:", `1:12: filesystem: expected a mapping with the keys root, image, mounts, protected, writable, tmp_size, landlock, found nothing`, "nothing"},
		{"network: {loopback: yes}", `1:21: network.loopback: expected true or false, found text "yes"`, "yes is text in YAML 1.2"},
		{"network: {loopback: {}}", `1:21: network.loopback: expected true or false, found a mapping`, "a mapping for a boolean"},
		{"best_effort: seccomp", `1:14: best_effort: expected a list, found text "seccomp"`, "one item without a list"},
		{"filesystem: {mounts: [/a]}", `1:23: filesystem.mounts[0]: expected a mapping with the keys source, target, access, rights, found text "/a"`, "a mount is a mapping"},
		{"resources: {cpus: two}", `1:19: resources.cpus: expected a number or "unlimited", found text "two"`, "a word for a number"},
		{"resources: {pids: 1.5}", `1:19: resources.pids: expected a whole number, found the number 1.5`, "half a process"},
		{"resources: {pids: 010}", `1:19: resources.pids: the number 010 is not plain decimal; write it as in JSON, such as 10 or 0.5`, "eight, or ten?"},
		{"resources: {cpus: .nan}", `1:19: resources.cpus: the number .nan is not plain decimal; write it as in JSON, such as 10 or 0.5`, "not a number"},
		{`{"resources": {"cpus": 1e999}}`, `1:24: resources.cpus: expected a number that is not as large, found the number 1e999`, "beyond a float"},
		{"require: {min_score: unlimited}", `1:22: require.min_score: expected a number, found text "unlimited"`, "a score is no limit"},
		{"resources: {memory: true}", `1:21: resources.memory: expected a size such as 512m, found the boolean true`, "a boolean for a size"},
		{"resources: {timeout: []}", `1:22: resources.timeout: expected a duration such as 30s, found a list`, "a list for a duration"},
		{"resources: {memory: 12q}", `1:21: resources.memory: "12q" has an unknown unit; use b, k, m, g or t`, "a bad size"},
		{"resources: {timeout: 30}", `1:22: resources.timeout: "30" has no unit; write 30s for seconds`, "a bad duration"},

		// What Validate refuses, at the line of its field.
		{"filesystem:\n  mounts:\n  - source: /a\n  - source: b\n", `4:13: filesystem.mounts[1].source: "b" is not an absolute path; begin it with "/"`, "in a list"},
		{"filesystem:\n  mounts:\n  - target: /a\n", `3:5: filesystem.mounts[0].source: is missing; give an absolute path`, "a field that is not there: at what should hold it"},
		{"filesystem: {tmp_size: unlimited}", `1:24: filesystem.tmp_size: writable places are always bounded; give a size, such as 256m`, "tmp_size has a bound"},
		{"process:\n  env:\n    \"A=B\": x\n", `3:12: process.env["A=B"]: the name of a variable holds "=" or a NUL byte; choose another name`, "an odd key"},
		{"gate:\n  severity:\n    a: hihg\n    b: off\n  ignore: [c, known-secret, a]\n", "3:8: gate.severity[\"a\"]: unknown value \"hihg\"; did you mean \"high\"?\n" +
			"4:8: gate.severity[\"b\"]: a severity is raised here, and off is none; list the rule in gate.ignore, or leave it out\n" +
			"5:15: gate.ignore[1]: a secret that the sandbox was given always counts; remove \"known-secret\"\n" +
			`5:29: gate.ignore[2]: "a" has a severity in gate.severity, and would not count; leave one of them out`, "in a mapping, and beside it"},
		{"gate:\n  external:\n  - name: av\n    command: [/av, -x, y]\n  - name: av\n    command: [av]\n", "5:11: gate.external[1].name: \"av\" is the name of gate.external[0] too; give one of them another name\n" +
			`6:15: gate.external[1].command[0]: "av" is not an absolute path; begin it with "/"`, "in a list of a list"},
		{"gate: {external: [{name: av, command: /av -x}]}", `1:39: gate.external[0].command: expected a list, found text "/av -x"`, "a command line for a shell"},
		{"gate: {mode: off, block: high}", `1:26: gate.block: gate.mode is off, so nothing is looked at, and nothing would come of this; leave one of them out`, "off is text"},
		{"gate: off", `1:7: gate: expected a mapping with the keys mode, scanners, redact, quarantine, block, severity, ignore, input, external, found text "off"`, "the mode is a key"},
		{"credentials:\n  - name: T\n    source: file:/t\n    as: file:/run/t\n  - name: T\n    source: stdin\n    lifetime: sandbox\n",
			"4:9: credentials[0].as: \"/run\" holds other files, which would be seen no more; give it a directory of its own, such as /run/secrets\n" +
				"5:11: credentials[1].name: is the name of credentials[0] too; give one of them another name\n" +
				"7:15: credentials[1].lifetime: only a file in memory can outlive the command, and this is given otherwise; leave it out, or set as to file:PATH", "in a list"},
		{"best_effort: [secomp]", `1:15: best_effort[0]: unknown name "secomp"; did you mean "seccomp"?`, "an unknown control"},
		{"require:\n  min_score: 101\nname: x\nseccomp: {profile: stric}", "2:14: require.min_score: 101 is not a score; give a number from 0 to 100\n4:20: seccomp.profile: unknown value \"stric\"; did you mean \"strict\"?", "in the order of the file, not of the struct"},
	}
	for _, test := range tests {
		_, err := Parse("p", []byte(test.file))
		want := "p:" + strings.ReplaceAll(test.want, "\n", "\np:")
		if err == nil || err.Error() != want {
			t.Errorf("%s: %q\n got %v\nwant %v", test.why, test.file, err, want)
		}
		if first := (*Error)(nil); !errors.As(err, &first) {
			t.Errorf("%s: %T is not an *Error", test.why, err)
		}
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		file, want, why string // want: what Marshal writes
	}{
		{"{}", "{}", "the zero policy, said aloud"},
		{"\ufeff{ }\n", "{}", "JSON with a byte order mark"},
		{"\ufeffname: x", "name: x", "YAML with a byte order mark"},
		{"---\nname: x\n...\n", "name: x", "document markers"},
		{"name: x\r\nnetwork: {loopback: True}\r\n", "name: x\nnetwork:\n  loopback: true", "lines of Windows"},
		{"filesystem: {landlock: on}", "filesystem:\n  landlock: on", "on is text"},
		{"name: 2020-01-01", `name: "2020-01-01"`, "a date is text"},
		{`{"name": "\ud83d\ude00 \\ud83d \ufffd \\\ud83d\ude00 é"}`, `name: "\U0001F600 \\ud83d ` + "\ufffd" + ` \\\U0001F600 é"`, "surrogate pairs in JSON"},
		{`{"resources": {"cpus": -1, "pids": -1, "memory": 20000000, "output": "1KiB"}}`, "resources:\n  memory: 20000000\n  cpus: unlimited\n  pids: unlimited\n  output: 1k", "what encoding/json writes"},
		{"resources: {cpus: 2.50, timeout: 90m}", "resources:\n  cpus: 2.5\n  timeout: 1h30m", "other spellings"},
		{"process: {user: 1000}", "process:\n  user: \"1000\"", "a uid may be a number"},
		{`{"process": {"user": 0}}`, "process:\n  user: \"0\"", "in JSON too"},
		{"process: {user: 10:20}", "process:\n  user: \"10:20\"", "not 620, as in YAML 1.1"},
		{"process: {env: {}}\nrequire: {backends: []}\nfilesystem: {}", "{}", "empty is the same as absent"},
		{"process: {env: {'<<': a, '1': b}}", "process:\n  env:\n    \"1\": b\n    \"<<\": a", "quoted keys are text"},
	}
	for _, test := range tests {
		p, err := Parse("p", []byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", test.why, err)
			continue
		}
		text, err := Marshal(p)
		got := strings.TrimSuffix(string(text), "\n")
		if err != nil || got != test.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", test.why, err, got, test.want)
		}
	}
}

func TestParseBounds(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (MaxSize-64)/len(s)) }
	bombs := []struct{ file, why string }{
		{"name: x\n" + strings.Repeat("#", MaxSize), "too large"},
		{bomb(), "a billion laughs"},
		{fill("["), "deep flow"},
		{fill("{a: "), "deep flow mappings, as JSON"},
		{"a: " + fill("{a: "), "deep flow mappings"},
		{fill("- "), "deep lists"},
		{fill("? "), "deep complex keys"},
		{fill("&a "), "anchors"},
		{fill("*a "), "aliases"},
		{fill("a:\n"), "duplicate keys"},
		{fill("# x\n  # y\n"), "comments"},
		{fill("---\n"), "documents"},
		{"credentials:\n" + fill("- {name: a, source: stdin, as: 'file:/a/b'}\n"), "credentials"},
		{"credentials:\n" + fill("- {name: a, source: stdin, as: 'file:"+strings.Repeat("/a", 2000)+"'}\n"), "deep files in memory"},
		{"filesystem:\n  mounts: [" + fill("{source: /a},") + "]\ncredentials: [{name: a, source: stdin, as: 'file:/a/b'}]", "files in memory beside mounts"},
		{"filesystem: {mounts: [{source: /x, target: '" + fill("/a") + "'}]}\ncredentials: [{name: a, source: stdin, as: 'file:/a/b'}]", "a file in memory beside a deep mount"},
		{"\"" + fill("\\\""), "an open quote"},
		{`{"a":` + fill("["), "deep JSON"},
		{`{"a":[` + fill("1,") + "1]}", "long JSON"},
	}
	for _, test := range bombs {
		watch := testclock.Start()
		_, err := Parse("p", []byte(test.file))
		if took := watch.Ran(); err == nil || took > 10*time.Second {
			t.Errorf("%s: %v after %v", test.why, err, took)
		}
		if err != nil && len(err.Error()) > 10_000 {
			t.Errorf("%s: an error of %d bytes", test.why, len(err.Error()))
		}
	}
}

// bomb is a small file that is huge once its aliases are resolved.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	return b.String()
}

func TestErrorOfFieldErrors(t *testing.T) {
	p := policy.Policy{Name: "x"}
	d := decoder{}
	if d.invalid(p.Validate()); d.err() != nil {
		t.Errorf("no problem is an error: %v", d.err())
	}
}
