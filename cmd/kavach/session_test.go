package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/internal/testclock"
)

// client is the other end of kavach session.
type client struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan message
}

// message is a reply or an event.
type message struct {
	raw    string
	ID     any            `json:"id"`
	Result map[string]any `json:"result"`
	Error  *sessionError  `json:"error"`

	Event    string `json:"event"`
	Exec     int    `json:"exec"`
	Data     string `json:"data"`
	Base64   []byte `json:"data_base64"`
	ExitCode int    `json:"exit_code"`
	Signal   string `json:"signal"`
	TimedOut bool   `json:"timed_out"`

	Secrets *[]credential.Grant `json:"secrets"`
}

// dial starts a session, which inherits files as descriptors from 3 on.
func dial(t *testing.T, files ...*os.File) *client {
	t.Helper()
	c := &client{t: t, cmd: exec.Command(kavachPath(t), "session"), lines: make(chan message, 1000)}
	c.cmd.Dir, c.cmd.Stderr, c.cmd.ExtraFiles = t.TempDir(), os.Stderr, files
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hurry := func() { _ = c.cmd.Process.Kill() } // it may be gone
	stop := testclock.AfterFunc(patience, hurry)
	t.Cleanup(func() { stop(); hurry() })
	go func() {
		defer close(c.lines)
		r := bufio.NewReader(stdout)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			m := message{raw: line}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				m.raw = "not JSON: " + line
			}
			c.lines <- m
		}
	}()
	return c
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.stdin, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next message.
func (c *client) next() message {
	c.t.Helper()
	m, open := <-c.lines
	if !open {
		c.t.Fatal("kavach session ended, or was killed when the patience was at its end")
	}
	return m
}

// until skips to the first message for which is holds.
func (c *client) until(is func(message) bool) message {
	c.t.Helper()
	for {
		if m := c.next(); is(m) {
			return m
		}
	}
}

func (c *client) ask(line string) message {
	c.t.Helper()
	c.send(line)
	var request struct{ ID any }
	known := json.Unmarshal([]byte(line), &request) == nil && request.ID != nil
	return c.until(func(m message) bool {
		// The reply to an earlier request may come after the event that a test
		// waited for.
		return m.Event == "" && (!known || m.ID == nil || m.ID == request.ID)
	})
}

// create makes the sandbox.
func (c *client) create(params string) {
	c.t.Helper()
	if m := c.ask(`{"id":0,"method":"create","params":` + params + `}`); m.Error != nil {
		c.t.Fatal(m.raw)
	}
}

// output is all output of a command and its exit event.
func (c *client) output(number int) (string, message) {
	c.t.Helper()
	var out strings.Builder
	for {
		m := c.next()
		switch {
		case m.Exec != number || m.Event == "":
		case m.Event == "exit":
			return out.String(), m
		default:
			out.WriteString(m.Data + string(m.Base64))
		}
	}
}

// end closes stdin and waits for kavach.
func (c *client) end() int {
	c.t.Helper()
	if err := c.stdin.Close(); err != nil {
		c.t.Fatal(err)
	}
	for range c.lines {
	}
	return exitCode(c.t, c.cmd)
}

func TestSessionRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ send, code, message, why string }{
		{`{"id":1`, errSyntax, "not JSON", "half a line"},
		{"{\"id\":1,\"method\":\"\xff\"}", errSyntax, "UTF-8", "not UTF-8"},
		{`[1]`, errParams, "expected an object", "an array"},
		{`null`, errSyntax, "no id", "nothing"},
		{`{"method":"create"}`, errSyntax, "no id", "no id"},
		{`{"id":null,"method":"create"}`, errSyntax, "no id", "null is no id"},
		{`{"id":{},"method":"create"}`, errSyntax, "no id", "an object is no id"},
		{`{"id":1}`, errUnknownMethod, `there is no method ""`, "no method"},
		{`{"id":1,"method":"exce"}`, errUnknownMethod, `did you mean "exec"?`, "a typo"},
		{`{"id":1,"method":"frobnicate"}`, errUnknownMethod, "the methods are apply, changes, create, destroy", "nothing is near"},
		{`{"id":1,"method":7}`, errParams, "method: expected a string, found number", "wrong type"},
		{`{"id":1,"method":"create","parms":{}}`, errUnknownField, `did you mean "params"?`, "an unknown key"},
		{`{"id":1,"method":"create","params":[]}`, errParams, "params: expected an object", "params by position"},
		{`{"id":1,"method":"create","params":{"polcy":"basic"}}`, errUnknownField, `"params.polcy"; did you mean "policy"?`, "an unknown field"},
		{`{"id":1,"method":"create","params":{"Policy":"basic"}}`, errUnknownField, `did you mean "policy"?`, "names have one spelling"},
		{`{"id":1,"method":"create","params":{"policy":"basc"}}`, errPolicy, `did you mean "basic"?`, "no such preset"},
		{`{"id":1,"method":"create","params":{"policy":3}}`, errParams, "the name of a preset", "wrong type"},
		{`{"id":1,"method":"create","params":{"policy":[]}}`, errParams, "one policy at least", "a merge of none would allow all"},
		{`{"id":1,"method":"create","params":{"policy":["basic",["strict"]]}}`, errParams, "params.policy[1]: expected the name", "a list in a list"},
		{`{"id":1,"method":"create","params":{"policy":["basic",{"filesystem":{"root":"/srv/x"}}]}}`, errPolicy, "filesystem.root: host and /srv/x cannot be merged (from policy[0] and policy[1])", "no order"},
		{`{"id":1,"method":"create","params":{"policy":{"nmae":"x"}}}`, errPolicy, `nmae: unknown key; did you mean "name"?`, "a wrong policy"},
		{`{"id":1,"method":"create","params":{"backend":"proces"}}`, errParams, `did you mean "process"?`, "no such backend"},
		{`{"id":1,"method":"create","params":{"min_score":100}}`, errRefused, "100 is required", "too little is proven"},
		{`{"id":1,"method":"create","params":{"mounts":[{"src":"/x"}]}}`, errUnknownField, `"params.mounts[0].src"`, "an unknown field of a mount"},
		{`{"id":1,"method":"create","params":{"best_effort":["landlok"]}}`, errPolicy, `did you mean "landlock"?`, "no such control"},
		{`{"id":1,"method":"create","params":{"image":""}}`, errParams, "params.image: it is empty", "a name that was not filled in"},
		{`{"id":1,"method":"create","params":{"image":"rootfs:srv"}}`, errPolicy, `"srv" is not an absolute path`, "relative to what?"},
		{`{"id":1,"method":"create","params":{"image":"A B"}}`, errImage, `image "A B"`, "no name of an image"},
		{`{"id":1,"method":"create","params":{"image":["alpine"]}}`, errParams, "params.image: expected a string", "wrong type"},
		{`{"id":1,"method":"create","params":{"image":"alpine","pull":"nver"}}`, errParams, `did you mean "never"?`, "a typo"},
		{`{"id":1,"method":"create","params":{"pull":"never"}}`, errParams, "there is none", "pull what?"},
		{`{"id":1,"method":"create","params":{"policy":["basic",{"filesystem":{"image":"alpine"}}]}}`, errPolicy, "alpine cannot be merged with filesystem.root host", "no order"},
		{`{"id":1,"method":"exec","params":{"args":["true"]}}`, errNoSandbox, "send create first", "no sandbox yet"},
		{`{"id":1,"method":"pause"}`, errNoSandbox, "send create first", "no sandbox yet"},
		{`{"id":1,"method":"destroy"}`, errNoSandbox, "send create first", "no sandbox yet"},
		{`{"id":1,"method":"stdin","params":{"exec":1,"data":"x"}}`, errNoExec, "there is no command 1", "no command yet"},
		{`{"id":1,"method":"stdin","params":{"exec":1,"data_base64":"?"}}`, errParams, "base64", "not base64"},
		{`{"id":1,"method":"stdin","params":{"exec":1,"data":"x","data_base64":"eA=="}}`, errParams, "send one of them", "both"},
		{`{"id":1,"method":"stdin","params":{"exec":1,"data_base64":7}}`, errParams, "expected a string in base64", "wrong type"},
	}
	c := dial(t)
	for _, tt := range tests {
		m := c.ask(tt.send)
		if m.Error == nil || m.Error.Code != tt.code || !strings.Contains(m.Error.Message, tt.message) {
			t.Errorf("%s: %s\n got %s\nwant %s: …%s…", tt.why, tt.send, m.raw, tt.code, tt.message)
		}
	}
	c.create(`{}`)
	after := []struct{ send, code, message, why string }{
		{`{"id":1,"method":"create"}`, errExists, "start another kavach session", "one sandbox a session"},
		{`{"id":1,"method":"exec","params":{}}`, errParams, "params.args", "no command"},
		{`{"id":1,"method":"exec","params":{"entrypoint":true}}`, errParams, "params.args", "no command, and no image that has one"},
		{`{"id":1,"method":"exec","params":{"args":"true"}}`, errParams, "params.args: expected an array, found string", "a command string"},
		{`{"id":1,"method":"exec","params":{"args":["true"],"timeout_ms":-1}}`, errParams, "timeout_ms", "negative"},
		{`{"id":1,"method":"exec","params":{"args":["true"],"timeout_ms":1.5}}`, errParams, "expected a whole number", "a fraction"},
		{`{"id":1,"method":"exec","params":{"args":["true"],"env":{"":"x"}}}`, errParams, "empty", "no name"},
		{`{"id":1,"method":"exec","params":{"args":["no-such-command"]}}`, errNotFound, "not found", "not there"},
		{`{"id":1,"method":"exec","params":{"args":["/usr"]}}`, errNotInvoked, "cannot be executed", "a directory"},
		{`{"id":1,"method":"signal","params":{"exec":1,"signal":"TERM"}}`, errNoExec, "there is no command 1", "none was started"},
		{`{"id":1,"method":"resume"}`, errState, "is running", "not paused"},
	}
	for _, tt := range after {
		m := c.ask(tt.send)
		if m.Error == nil || m.Error.Code != tt.code || !strings.Contains(m.Error.Message, tt.message) {
			t.Errorf("%s: %s\n got %s\nwant %s: …%s…", tt.why, tt.send, m.raw, tt.code, tt.message)
		}
	}
	if got := c.end(); got != 0 {
		t.Errorf("exit code %d", got)
	}
}

func TestSessionLineTooLong(t *testing.T) {
	t.Parallel()
	c := dial(t)
	c.send(`{"id":1,"method":"` + strings.Repeat("x", maxLine) + `"}`)
	if m := c.next(); m.Error == nil || m.Error.Code != errTooLong || m.ID != nil {
		t.Errorf("got %s", m.raw)
	}
	long := `{"id":2,"method":"destroy"}`
	if m := c.ask(long + strings.Repeat(" ", maxLine-len(long))); m.Error == nil || m.Error.Code != errNoSandbox {
		t.Errorf("a line of the longest length: %s", m.raw)
	}
	c.end()
}

func TestSessionRuns(t *testing.T) {
	for _, backend := range []string{"process", "noop"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			c.create(`{"policy":{"filesystem":{"root":"host","tmp_size":"1m"}},"backend":"` + backend + `"}`)

			c.send(`{"id":"a","method":"exec","params":{"args":["sh","-c","echo $K; pwd; exit 3"],"env":{"K":"v"},"dir":"/usr"}}`)
			if m := c.next(); m.ID != "a" || m.Result["exec"] != 1.0 {
				t.Fatalf("the reply comes first, with the id as it was: %s", m.raw)
			}
			if out, end := c.output(1); out != "v\n/usr\n" || end.ExitCode != 3 {
				t.Errorf("%q, %s", out, end.raw)
			}

			c.ask(`{"id":2,"method":"exec","params":{"args":["cat"],"stdin":true}}`)
			c.send(`{"id":3,"method":"stdin","params":{"exec":2,"data":"héllo "}}`)
			c.send(`{"id":4,"method":"stdin","params":{"exec":2,"data_base64":"/wA=","eof":true}}`)
			if out, end := c.output(2); out != "héllo \xff\x00" || end.ExitCode != 0 {
				t.Errorf("%q, %s", out, end.raw)
			}
			if m := c.ask(`{"id":5,"method":"stdin","params":{"exec":2,"data":"x"}}`); m.Error == nil || m.Error.Code != errNoExec {
				t.Errorf("stdin of a command that has ended: %s", m.raw)
			}

			c.ask(`{"id":6,"method":"exec","params":{"args":["sleep","60"],"timeout_ms":200}}`)
			if _, end := c.output(3); end.ExitCode != codeTimedOut || !end.TimedOut {
				t.Errorf("timeout_ms: %s", end.raw)
			}
			if got := c.end(); got != 0 {
				t.Errorf("exit code %d", got)
			}
		})
	}
}

func TestSessionManyAtOnce(t *testing.T) {
	t.Parallel()
	c := dial(t)
	c.create(`{}`)
	const n = 10
	for range n {
		c.send(`{"id":1,"method":"exec","params":{"args":["cat"],"stdin":true}}`)
	}
	for i := n; i >= 1; i-- { // the last first: they do not wait for each other
		data, err := json.Marshal(map[string]any{"id": 1, "method": "stdin", "params": map[string]any{"exec": i, "data": "x", "eof": true}})
		if err != nil {
			t.Fatal(err)
		}
		c.send(string(data))
	}
	ended := make(map[int]bool)
	for len(ended) < n {
		if m := c.next(); m.Event == "exit" {
			ended[m.Exec] = true
		} else if m.Error != nil {
			t.Fatal(m.raw)
		}
	}
	c.end()
}

// A list of policies is the merge of them.
func TestSessionMerges(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]int{
		`{"policy":["basic"]}`:                                0,
		`{"policy":["basic",{"filesystem":{"root":"host"}}]}`: 1, // which has no place to write to
	} {
		c := dial(t)
		c.create(params)
		c.ask(`{"id":1,"method":"exec","params":{"args":["touch","/tmp/x"]}}`)
		if _, end := c.output(1); end.ExitCode != want {
			t.Errorf("%s: %s", params, end.raw)
		}
		c.end()
	}
}

func TestSessionSignalsAndPause(t *testing.T) {
	t.Parallel()
	c := dial(t)
	c.create(`{"policy":"minimal"}`)
	for i, sig := range []string{`"TERM"`, `"SIGTERM"`, `"term"`, `15`} {
		m := c.ask(`{"id":1,"method":"exec","params":{"args":["sleep","60"]}}`)
		number := int(m.Result["exec"].(float64))
		data, err := json.Marshal(map[string]any{"exec": number, "signal": json.RawMessage(sig)})
		if err != nil {
			t.Fatal(err)
		}
		c.send(`{"id":2,"method":"signal","params":` + string(data) + `}`)
		if _, end := c.output(i + 1); end.Signal != "SIGTERM" || end.ExitCode != 143 {
			t.Errorf("signal %s: %s", sig, end.raw)
		}
	}
	c.ask(`{"id":3,"method":"exec","params":{"args":["sleep","60"]}}`)
	for _, sig := range []string{`"NOPE"`, `0`, `65`, `1.5`, `null`, `""`} {
		if m := c.ask(`{"id":4,"method":"signal","params":{"exec":5,"signal":` + sig + `}}`); m.Error == nil || m.Error.Code != errParams {
			t.Errorf("signal %s: %s", sig, m.raw)
		}
	}
	if m := c.ask(`{"id":5,"method":"pause"}`); m.Error == nil {
		if m := c.ask(`{"id":6,"method":"exec","params":{"args":["true"]}}`); m.Error == nil || m.Error.Code != errState {
			t.Errorf("exec while paused: %s", m.raw)
		}
		if m := c.ask(`{"id":7,"method":"resume"}`); m.Error != nil {
			t.Errorf("resume: %s", m.raw)
		}
	} else if m.Error.Code != errUnsupported {
		t.Errorf("pause: %s", m.raw)
	}
	c.send(`{"id":8,"method":"destroy"}`)
	if m := c.next(); m.Event != "exit" || m.Exec != 5 || m.Signal != "SIGKILL" {
		t.Errorf("destroy: the exit event comes first: %s", m.raw)
	}
	if m := c.next(); m.Error != nil || m.ID != 8.0 {
		t.Errorf("destroy: %s", m.raw)
	}
	if m := c.ask(`{"id":9,"method":"exec","params":{"args":["true"]}}`); m.Error == nil || m.Error.Code != errState {
		t.Errorf("exec after destroy: %s", m.raw)
	}
	if got := c.end(); got != 0 {
		t.Errorf("exit code %d", got)
	}
}

// The sandbox ends with stdin, and with kavach when a signal ends that.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	c := dial(t)
	c.create(`{}`)
	c.ask(`{"id":1,"method":"exec","params":{"args":["sleep","60"]}}`)
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if _, end := c.output(1); end.Signal != "SIGKILL" {
		t.Errorf("at the end of stdin: %s", end.raw)
	}
	if got := exitCode(t, c.cmd); got != 0 {
		t.Errorf("exit code %d", got)
	}
	if left := sandboxOf(t, c.cmd.Process.Pid); left != nil {
		t.Errorf("left: %+v", left)
	}

	c = dial(t)
	c.create(`{}`)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := exitCode(t, c.cmd); got != 143 {
		t.Errorf("after SIGTERM: exit code %d", got)
	}
	if left := sandboxOf(t, c.cmd.Process.Pid); left != nil {
		t.Errorf("left after SIGTERM: %+v", left)
	}
}

func TestSessionExamples(t *testing.T) {
	examples := map[string]string{"python3": "session.py", "node": "session.mjs"}
	for interpreter, file := range examples {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(interpreter)
			if err != nil {
				t.Skipf("%s is not installed", interpreter)
			}
			cmd := exec.Command(path, source(t, filepath.Join("examples", "session", file)))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(kavachPath(t))+":"+os.Getenv("PATH"))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			const want = "exit 3: six times seven is 42\nexit 0: HELLO FROM OUTSIDE\n"
			first, rest, _ := strings.Cut(string(out), "\n")
			if err != nil || rest != want || !strings.HasPrefix(first, "score ") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A command can have a terminal: keys are typed on it, and it changes its size.
func TestSessionTerminal(t *testing.T) {
	c := dial(t)
	c.create(`{"policy":"basic","best_effort":["limits"]}`)
	m := c.ask(`{"id":1,"method":"exec","params":{"args":["sh"],"stdin":true,"env":{"PS1":"ready> "},"terminal":{"rows":7,"cols":33}}}`)
	if m.Error != nil {
		t.Fatal(m.raw)
	}
	var seen strings.Builder
	shows := func(text string) {
		t.Helper()
		for !strings.Contains(seen.String(), text) {
			m := c.next()
			if m.Event == "exit" || m.Error != nil || m.Event == "stderr" {
				t.Fatalf("%s, after %q, and %q was awaited", m.raw, seen.String(), text)
			}
			seen.WriteString(m.Data)
		}
		seen.Reset()
	}
	typed := func(text string) { c.send(`{"id":2,"method":"stdin","params":{"exec":1,"data":"` + text + `"}}`) }
	shows("ready> ")
	typed(`stty size\r`)
	shows("\r\n7 33\r\nready> ")
	c.send(`{"id":3,"method":"resize","params":{"exec":1,"rows":9,"cols":44}}`)
	// The change and what is typed go different ways: which is first is not said.
	typed(`until [ \"$(stty size)\" = \"9 44\" ]; do sleep .1; done; echo changed\r`)
	shows("\r\nchanged\r\nready> ")
	typed(`cat\r`)
	typed(`hello\r`)
	shows("hello\r\nhello\r\n")
	typed(`\u0003`)
	shows("ready> ")
	typed(`exit 5\r`)
	if m := c.until(func(m message) bool { return m.Event == "exit" }); m.ExitCode != 5 {
		t.Error(m.raw)
	}
	for _, refused := range []struct{ line, code string }{
		{`{"id":4,"method":"resize","params":{"exec":1,"rows":9,"cols":44}}`, errNoExec},
		{`{"id":5,"method":"exec","params":{"args":["sh"],"terminal":{"rows":70000}}}`, errParams},
		{`{"id":6,"method":"exec","params":{"args":["sh"],"terminal":{"columns":80}}}`, errUnknownField},
		{`{"id":7,"method":"exec","params":{"args":["sh"],"terminal":true}}`, errParams},
	} {
		if m := c.ask(refused.line); m.Error == nil || m.Error.Code != refused.code {
			t.Errorf("%s: %s", refused.line, m.raw)
		}
	}
	if m := c.ask(`{"id":8,"method":"exec","params":{"args":["sleep","100"]}}`); m.Error != nil {
		t.Fatal(m.raw)
	}
	if m := c.ask(`{"id":9,"method":"resize","params":{"exec":2,"rows":9,"cols":44}}`); m.Error == nil || m.Error.Code != errNoTerminal {
		t.Error(m.raw)
	}
}

// However output is cut, what was text arrives as text.
func TestExecOutputKeepsRunesWhole(t *testing.T) {
	const text = "aé€😀z"
	tests := []struct {
		chunks []string
		text   bool
		why    string
	}{
		{[]string{text}, true, "in one piece"},
		{strings.Split(text, ""), true, "rune by rune"},
		{[]string{"a\xc3", "\xa9\xe2\x82", "\xac\xf0", "\x9f\x98", "\x80z"}, true, "cut in each rune"},
		{[]string{"a\xff", text}, false, "a byte that no text has"},
		{[]string{"a\xe2\x82"}, false, "half a rune at the end"},
		{[]string{"a\xe2\x82", "x"}, false, "half a rune, and no end of it"},
		{[]string{"\x80"}, false, "the end of a rune without its beginning"},
		{[]string{"\xc0\x80"}, false, "an overlong rune"},
	}
	for _, tt := range tests {
		var sent strings.Builder
		replied := make(chan struct{})
		close(replied)
		o := &execOutput{wire: &wire{out: &sent}, replied: replied, event: "stdout", exec: 1}
		for _, chunk := range tt.chunks {
			if _, err := o.Write([]byte(chunk)); err != nil {
				t.Fatal(err)
			}
		}
		o.flush()
		var got strings.Builder
		allText := true
		for line := range strings.Lines(sent.String()) {
			var m message
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			allText = allText && m.Base64 == nil
			got.WriteString(m.Data + string(m.Base64))
		}
		if want := strings.Join(tt.chunks, ""); got.String() != want || allText != tt.text {
			t.Errorf("%s: got %q (all text: %v), want %q (%v)\n%s", tt.why, got.String(), allText, want, tt.text, sent.String())
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"id":1,"method":"exec","params":{"args":["true"],"env":{"A":"b"}}}`))
	f.Add([]byte(`{"id":"x","method":"stdin","params":{"exec":1,"data_base64":"` + base64.StdEncoding.EncodeToString([]byte("x")) + `"}}`))
	f.Add([]byte(`{"id":1,"method":"create","params":{"policy":{"name":"x"},"mounts":[{}]}}`))
	f.Add([]byte(`{"id":1,"method":"create","params":{"credentials":[{"name":"x","source":"env:X"}]}}`))
	f.Add([]byte(`{"id":1,"method":"exec","params":{"args":["true"],"credentials":[]}}`))
	f.Add([]byte(`{"id":1,"method":"exec","params":{"args":["sh"],"terminal":{"rows":24,"cols":80}}}`))
	f.Add([]byte(`{"id":1,"method":"resize","params":{"exec":1,"rows":24,"cols":70000}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRequest(text)
		if err == nil && (r.ID == nil || methods[r.Method] == nil) {
			t.Fatalf("taken without an id or a method: %q", text)
		}
		for _, params := range []any{&execParams{}, &createParams{}, &stdinParams{}, &resizeParams{}, &signalParams{}, &applyParams{}, &empty{}} {
			if decode("params", r.Params, params) == nil {
				if p, ok := params.(*signalParams); ok {
					_, _ = signalParam(p.Signal)
				}
				if p, ok := params.(*execParams); ok {
					_, _ = p.command()
				}
			}
		}
	})
}
