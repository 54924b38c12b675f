package gate

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const (
	esc = "\x1b"
	st  = "\x1b\\"
)

var terminalCases = []struct {
	text string
	want string
	why  string
}{
	{"plain text\twith tabs\r\n", "", "nothing to find"},
	{"été — 没有 \U0001f600 Ü", "", "characters of several bytes, with those of C1 in them"},
	{esc + "[31;1mred" + esc + "[0m", "", "colours"},
	{"\r 42%" + esc + "[K" + esc + "[1G" + esc + "[2C" + esc + "[?25l", "", "a progress bar within its line"},
	{esc + "[38;5;8mgrey" + esc + "[48;2;8;8;8m", "", "a colour whose number is 8"},
	{esc + "(B" + esc + "(0", "", "sets of characters"},

	{esc + "]52;c;aGVsbG8=\a", "terminal-clipboard/high", "sets the clipboard"},
	{esc + "]52;c;?" + st, "terminal-clipboard/high", "reads it"},
	{"\x9d52;c;aGVsbG8=\x9c", "terminal-clipboard/high", "controls of one byte"},
	{"\xc2\x9d52;c;aGVsbG8=\xc2\x9c", "terminal-clipboard/high", "and in UTF-8"},
	{"”\xe2\x80\x9d52;c;aGVsbG8=", "", "the last byte of a quotation mark"},
	{esc + "]5\x002;c;aGVsbG8=\a", "terminal-clipboard/high", "with a NUL in its number"},
	{esc + "]0052;c;aGVsbG8=\a", "terminal-clipboard/high", "with zeros"},
	{esc + "\x00]52;c;aGVsbG8=\a", "terminal-clipboard/high", "with a NUL after ESC"},
	{esc + "Ptmux;" + esc + esc + "]52;c;aGk=\a" + st, "terminal-clipboard/high", "wrapped for tmux"},

	{esc + "]8;;https://kavach.dev/a" + st + "the manual" + esc + "]8;;" + st, "terminal-link/info terminal-link/info", "words"},
	{esc + "]8;;https://kavach.dev/a" + st + "https://kavach.dev/" + esc + "]8;;" + st, "terminal-link/info terminal-link/info", "the same host"},
	{esc + "]8;;https://docs.kavach.dev/a" + st + "kavach.dev" + esc + "]8;;" + st, "terminal-link/info terminal-link/info", "a host below it"},
	{esc + "]8;;https://evil.dev/kavach.dev" + st + "https://kavach.dev/" + esc + "]8;;" + st, "terminal-link/medium terminal-link/medium", "another host"},
	{esc + "]8;;https://kavach.dev@evil.dev/" + st + "kavach.dev" + esc + "]8;;" + st, "terminal-link/medium terminal-link/medium", "a user's name that looks like the host"},
	{esc + "]8;;https://evil.dev\\@kavach.dev/" + st + "kavach.dev" + esc + "]8;;" + st, "terminal-link/medium terminal-link/medium", "a backslash, which browsers take for a slash"},
	{esc + "]8;;https://evil.dev/" + st + "kav" + esc + "[1mach.dev" + esc + "]8;;" + st, "terminal-link/medium terminal-link/medium", "a name with a colour in it"},
	{esc + "]8;;vscode://run" + st + "words" + esc + "]8;;" + st, "terminal-link/medium terminal-link/medium", "no page"},
	{esc + "]8;;file://host/a/README.md" + st + "README.md" + esc + "]8;;" + st, "terminal-link/info terminal-link/info", "as ls does"},
	{esc + "]8;;https://kavach.dev/a/README.md" + st + "README.md" + esc + "]8;;" + st, "terminal-link/info terminal-link/info", "a file that looks like a host"},

	{esc + "]0;title\a", "terminal-title/low", "a title"},
	{esc + "ktitle" + st, "terminal-title/low", "a title of screen's"},
	{esc + "[22;0t", "terminal-title/low", "keeps a title"},
	{esc + "[21t", "terminal-title/high", "types it"},
	{esc + "[6n", "terminal-query/medium", "where the cursor is"},
	{esc + "[c" + esc + "[>c" + esc + "Z", "terminal-query/medium terminal-query/medium terminal-query/medium", "what it is"},
	{esc + "P$qm" + st, "terminal-query/medium", "DECRQSS"},
	{esc + "P+q544e" + st, "terminal-query/medium", "XTGETTCAP"},
	{esc + "]11;?\a", "terminal-query/medium", "a colour"},
	{esc + "[?2026$p", "terminal-query/medium", "DECRQM"},
	{"who\x05", "terminal-query/medium", "ENQ"},
	{"\x00\x05", "", "a byte of something binary"},
	{esc + "[\x05m", "terminal-query/medium", "ENQ within a colour"},
	{esc + "]11;#000000\a" + esc + "]104\a", "terminal-colour/low terminal-colour/low", "sets colours"},
	{esc + "]9;hi\a" + esc + "]777;notify;a;b" + st, "terminal-notify/low terminal-notify/low", "notifications"},
	{esc + "]9;4;1;50\a", "terminal-notify/info", "progress"},
	{esc + "[?2004l" + esc + "[?1000;1006h", "terminal-keys/low terminal-keys/low", "modes of keys and mouse"},
	{esc + "P0;1|17/6c730a" + st, "terminal-keys/high", "a key types ls"},
	{esc + "[0;59;\"ls\";13p", "terminal-keys/high", "ANSI.SYS"},
	{esc + "]1337;File=name=eA==:eA==\a", "terminal-file/medium", "stores a file"},
	{esc + "]1337;RequestUpload=format=tgz\a", "terminal-file/high", "asks for one"},
	{esc + "_Ga=T,t=f;L2V0Yy9wYXNzd2Q=" + st, "terminal-file/high", "reads one"},
	{esc + "_Ga=T,f=100;aGk=" + st, "terminal-file/info", "a picture"},
	{esc + "P0;0;8q#0;2;0;0;0~~" + st, "terminal-file/info", "a sixel picture"},
	{esc + "[2J" + esc + "[H", "terminal-cursor/medium terminal-cursor/medium", "clears"},
	{esc + "[2\x00J", "terminal-cursor/medium", "with a NUL in it"},
	{esc + "[0000000000000000002J", "terminal-cursor/medium", "with zeros"},
	{esc + "[?1049h", "terminal-cursor/medium", "another screen"},
	{esc + "[?25;1049h", "terminal-cursor/medium", "among other modes"},
	{esc + "c" + esc + "M", "terminal-cursor/medium terminal-cursor/medium", "reset, and up"},
	{esc + "[8mhidden", "terminal-cursor/medium", "hides"},
	{esc + "[0;8m", "terminal-cursor/medium", "hides, after a reset"},
	{esc + "[3A", "terminal-cursor/low", "up, as progress bars do"},
	{"\x9b2J", "terminal-cursor/medium", "CSI of one byte"},
	{"\xc2\x9bH", "terminal-cursor/medium", "CSI in UTF-8"},
	{"it\x92s \x93quoted\x94", "", "marks of Windows-1252"},
	{esc + "[5i", "terminal-print/medium", "prints"},
	{esc + "[2t", "terminal-window/low", "hides the window"},
	{esc + "P1000p" + st, "terminal-command/high", "tmux -CC"},
	{esc + "]2;never ends", "terminal-unterminated/medium", "a string that does not end"},
	{"ends with " + esc, "terminal-unterminated/medium", "what the next program writes would be a part of it"},
	{esc + "]2;" + strings.Repeat("x", 5000), "terminal-unterminated/medium", "a string that is too long"},
	{esc + esc + "]52;c;aGk=\a]52;c;aGk=\a", "terminal-clipboard/high", "what would join, is taken away too"},
	{esc + "]52;" + esc + "[2Jc;aGk=\a", "terminal-clipboard/high terminal-cursor/medium", "cut short, and would join"},
	{"\xc2" + esc + "[2J\x9bH", "terminal-cursor/medium", "half a control, and would join"},
}

func TestTerminal(t *testing.T) {
	for _, c := range terminalCases {
		got := ""
		list := splitEverywhere(t, Terminal(), Subject{Name: "stdout"}, []byte(c.text))
		for _, m := range list {
			got += " " + m.Rule + "/" + m.Severity.String()
			if m.Instead == nil || len(m.Instead) > 0 {
				t.Errorf("%q: instead of it there is %q", c.text, m.Instead)
			}
		}
		if got = strings.TrimPrefix(got, " "); got != c.want {
			t.Errorf("%q: found %q, want %q: %s", c.text, got, c.want, c.why)
		}
		holdsAfterRedaction(t, []byte(c.text))
	}
}

// TestTerminalOfTheSandbox: answers go to the sandbox, and painting is its own.
func TestTerminalOfTheSandbox(t *testing.T) {
	for _, c := range []struct {
		text string
		want Severity
	}{
		{esc + "[6n", Low}, {esc + "[2J", Info}, {esc + "[?2004h", Info},
		{esc + "]52;c;aGk=\a", High}, {esc + "[21t", High},
	} {
		list := driveSearch(t, Terminal(), Subject{Name: "stdout", Terminal: true}, []byte(c.text), nil)
		if len(list) != 1 || list[0].Severity != c.want {
			t.Errorf("%q: %s, want %s", c.text, showMatches(list), c.want)
		}
	}
}

func TestTerminalLeavesFiles(t *testing.T) {
	for _, sub := range []Subject{{Name: "a", File: true}, {Name: "stdout", Depth: 1}} {
		if Terminal().New(sub) != nil {
			t.Errorf("%+v is shown by no terminal", sub)
		}
	}
}

func TestTerminalRulesAreListed(t *testing.T) {
	var listed []string
	for _, r := range Terminal().Rules() {
		listed = append(listed, r.ID)
	}
	for _, c := range terminalCases {
		for _, want := range strings.Fields(c.want) {
			rule, _, _ := strings.Cut(want, "/")
			if !slices.Contains(listed, rule) {
				t.Errorf("%s is reported, and not listed", rule)
			}
		}
	}
}

// redactAll puts in the place of each match what is to be there.
func redactAll(data []byte, list []Match, least Severity) []byte {
	var out []byte
	at := int64(0)
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Match) int { return int(a.Start - b.Start) })
	for _, m := range list {
		if m.Severity < least {
			continue
		}
		if m.Start > at {
			out = append(append(out, data[at:m.Start]...), m.Instead...)
		}
		at = max(at, m.End)
	}
	return append(out, data[at:]...)
}

// holdsAfterRedaction fails where what is left joins into something new.
func holdsAfterRedaction(t testing.TB, data []byte) {
	t.Helper()
	for _, least := range []Severity{Info, Low, Medium, High} {
		left := redactAll(data, driveSearch(t, Terminal(), Subject{}, data, nil), least)
		for _, m := range driveSearch(t, Terminal(), Subject{}, left, nil) {
			if m.Severity >= least && !(m.Rule == "terminal-link" && bytes.Contains(left, []byte("]8;"))) {
				t.Fatalf("of %q is left %q, in which is %s", data, left, showMatches([]Match{m}))
			}
		}
	}
}

// TestTerminalJoins: if only the whole sequence were taken away, what is around it
// would become another; taken away is therefore what it cuts short, too.
func TestTerminalJoins(t *testing.T) {
	const whole = esc + "[2J"
	for _, c := range []struct{ before, after, rule string }{
		{esc, "]52;c;aGk=\a", "terminal-clipboard"},
		{esc + "]", "52;c;aGk=\a", "terminal-clipboard"},
		{esc + "[", "21t", "terminal-title"},
		{"\xc2", "\x9b21t", "terminal-title"},
	} {
		list := driveSearch(t, Terminal(), Subject{}, []byte(c.before+c.after), nil)
		if len(list) != 1 || list[0].Rule != c.rule {
			t.Errorf("%q and %q would join, and %s is found in that", c.before, c.after, showMatches(list))
		}
		data := []byte(c.before + whole + c.after)
		left := redactAll(data, driveSearch(t, Terminal(), Subject{}, data, nil), Medium)
		if bytes.Contains(left, []byte(c.before)) {
			t.Errorf("of %q is left %q", data, left)
		}
	}
}

func FuzzTerminal(f *testing.F) {
	for _, c := range terminalCases {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2000 {
			splitEverywhere(t, Terminal(), Subject{}, data)
			holdsAfterRedaction(t, data)
		}
	})
}

func BenchmarkTerminal(b *testing.B) {
	for name, text := range benchTexts() {
		b.Run(name, func(b *testing.B) { benchSearch(b, Terminal(), Subject{}, text) })
	}
}
