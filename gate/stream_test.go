package gate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// secretValue is what the tests' sandboxes were given.
const secretValue = "correct horse battery staple/+?&"

func session(t testing.TB, p policy.Gate, secrets ...Secret) *Session {
	t.Helper()
	if secrets == nil {
		secrets = []Secret{NewSecret("PHRASE", []byte(secretValue))}
	}
	s, err := new(Gate).Open(Options{Sandbox: "0123456789abcdef", Policy: p, Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// through writes pieces through a session, and returns what comes out.
func through(t testing.TB, s *Session, collected bool, pieces ...string) (string, Report) {
	t.Helper()
	var out bytes.Buffer
	c := s.Command(1, false)
	w := c.Stream("stdout", &out, How{Collected: collected, Shown: true})
	for _, p := range pieces {
		if _, err := io.WriteString(w, p); err != nil {
			break // which the report says
		}
	}
	r, err := c.Finish(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), r
}

// Each encoding of a known secret is found, and with that one form left out it is
// not: the text around it is found by nothing else.
func TestKnownForms(t *testing.T) {
	v := []byte(secretValue)
	std, urlSafe := base64.StdEncoding, base64.URLEncoding
	var reversed []byte
	for i := range v {
		reversed = append(reversed, v[len(v)-1-i])
	}
	tests := []struct{ name, text string }{
		{"plain", secretValue},
		{"base64", std.EncodeToString(v)},
		{"base64, one byte before", std.EncodeToString(append([]byte("x"), v...))},
		{"base64, two bytes before", std.EncodeToString(append([]byte("xy"), v...))},
		{"base64, in the middle", std.EncodeToString([]byte("user:" + secretValue + "!tail"))},
		{"base64, URL-safe", urlSafe.EncodeToString(v)},
		{"Basic", "Authorization: Basic " + std.EncodeToString([]byte("me:"+secretValue))},
		{"hex", hex.EncodeToString(v)},
		{"hex, upper case", strings.ToUpper(hex.EncodeToString(v))},
		{"URL", url.QueryEscape(secretValue)},
		{"URL, path", url.PathEscape(secretValue)},
		{"URL, every byte", string(escapeAll(v, "%%%02x"))},
		{"URL, some bytes", "corre%63t horse battery st%61ple/+?&"},
		{"JSON", strings.ReplaceAll(secretValue, "/", `\/`)},
		{"JSON for HTML", `correct horse battery staple/+?\u0026`},
		{"reversed", string(reversed)},
		{"UTF-16", strings.Join(strings.Split(secretValue, ""), "\x00") + "\x00"},
		{"UTF-16, the other order", "\x00" + strings.Join(strings.Split(secretValue, ""), "\x00")},
		{"gzip", string(gzipped(secretValue))},
		{"gzip in base64", std.EncodeToString(gzipped(secretValue))},
		{"base64 twice", std.EncodeToString([]byte(std.EncodeToString([]byte("the phrase: " + secretValue))))},
		{"JSON, a character", `corr\u0065ct horse battery staple/+?&`},
		{"JSON, every character", string(escapeAll(v, `\u%04x`))},
		{"JSON in JSON", `{\"text\":\"corr\\u0065ct horse battery staple/+?&\"}`},
		{"over lines", wrap(secretValue, 7)},
		{"over lines of DOS", strings.ReplaceAll(wrap(secretValue, 9), "\n", "\r\n")},
		{"base64 in short lines", wrap(std.EncodeToString([]byte(strings.Repeat("padding ", 10)+secretValue+strings.Repeat(" more", 20))), 20)},
		{"base64 in lines of 40", wrap(std.EncodeToString([]byte("1234567"+secretValue+strings.Repeat(" more", 20))), 40)},
		{"hex in lines of 48", wrap(hex.EncodeToString([]byte("1234567"+secretValue)), 48)},
		{"base64 in lines", wrap(std.EncodeToString([]byte(strings.Repeat("padding ", 10)+secretValue+strings.Repeat(" more", 20))), 76)},
	}
	with, without := session(t, policy.Gate{}), session(t, policy.Gate{}, []Secret{}...)
	for _, tt := range tests {
		for _, around := range []string{"%s", "before %s after\n", `{"x":"%s"}`} {
			text := fmt.Sprintf(around, tt.text)
			for size := range []int{1, 3, 7, len(text)} {
				out, r := through(t, with, true, pieces(text, size+1)...)
				if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Rule == KnownRule && strings.HasPrefix(f.Preview, "PHRASE ") }) {
					t.Errorf("%s in %q: %+v", tt.name, around, r)
				}
				if strings.Contains(out, tt.text) || r.Verdict != Redact && !strings.HasPrefix(tt.name, "gzip") {
					t.Errorf("%s: %q, %s", tt.name, out, r.Verdict)
				}
			}
			if _, r := through(t, without, true, text); slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Rule == KnownRule }) {
				t.Errorf("%s: found without being known: %+v", tt.name, r)
			}
		}
	}
}

func pieces(text string, size int) (all []string) {
	for p := range slices.Chunk([]byte(text), size) {
		all = append(all, string(p))
	}
	return all
}

func wrap(text string, width int) string {
	return strings.Join(pieces(text, width), "\n")
}

func TestShortSecret(t *testing.T) {
	s, err := new(Gate).Open(Options{Secrets: []Secret{NewSecret("PIN", []byte("1234567")), NewSecret("PHRASE", []byte(secretValue))}})
	if !errors.Is(err, ErrShort) || !strings.Contains(err.Error(), `"PIN"`) || strings.Contains(err.Error(), "1234567") {
		t.Error(err)
	}
	if out, _ := through(t, s, false, secretValue); out != "[redacted:known-secret]" {
		t.Errorf("the others are known: %q", out)
	}
}

// What is let out live, when more may be to come, and what is not.
func TestLive(t *testing.T) {
	const header = "-----BEGIN RSA " + "PRIVATE KEY-----\n"
	tests := []struct {
		write, at string // what is written, and what is out without anything more
		quiet     string // what is out after a while
		end       string
		why       string
	}{
		{"hello, there! ", "hello, there! ", "hello, there! ", "hello, there! ", "nothing that could begin anything"},
		{"hello", "", "hello", "hello", "a word waits for a moment: it may be base64"},
		{"a line\n", "a line\n", "a line\n", "a line\n", "a line"},
		{`{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","id":1}`, "a message without an end of line"},
		{"say cor", "say ", "say cor", "say cor", "the beginning of a secret waits for a moment"},
		{"say correct horse", "say ", "say ", "say correct horse", "so much of it waits for more"},
		{"say correct horse\nand more", "say correct horse\nand ", "say correct horse\nand more", "say correct horse\nand more", "also over lines, until it is none"},
		{"say correct hose. ", "say correct hose. ", "say correct hose. ", "say correct hose. ", "until it is none"},
		{secretValue, "[redacted:known-secret]", "[redacted:known-secret]", "[redacted:known-secret]", "all of it"},
		{header, "", "", header, "the header of a key waits for what follows"},
		{header + "is how it begins", header + "is how it ", header + "is how it begins", header + "is how it begins", "and is none without a body"},
		{header + strings.Repeat("MIIEowIBAAKCAQEA", 4) + "\n", "", "", "[redacted:private-key]\n", "what may be its body waits"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var out lockedBuffer
			c := session(t, policy.Gate{Scanners: []string{policy.ScannerSecrets}}).Command(1, false)
			w := c.Stream("stdout", &out, How{})
			if _, err := io.WriteString(w, tt.write); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tt.at {
				t.Errorf("%s: %q at once, want %q", tt.why, got, tt.at)
			}
			time.Sleep(10 * silence)
			if got := out.String(); got != tt.quiet {
				t.Errorf("%s: %q after a while, want %q", tt.why, got, tt.quiet)
			}
			if _, err := c.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tt.end {
				t.Errorf("%s: %q in the end, want %q", tt.why, got, tt.end)
			}
		})
	}
}

// lockedBuffer is written to by whoever flushes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A secret that is printed a byte at a time, however slowly, leaves no more than its
// first bytes, which the finding says.
func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		c := session(t, policy.Gate{}).Command(1, false)
		w := c.Stream("stdout", &out, How{})
		for i := range len(secretValue) {
			if _, err := w.Write([]byte{secretValue[i]}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		r, err := c.Finish(t.Context())
		if err != nil || len(r.Findings) != 1 {
			t.Fatalf("%v, %+v", err, r)
		}
		const first = 7
		if got := out.String(); got != secretValue[:first]+"[redacted:known-secret]" || r.Findings[0].Released != first {
			t.Errorf("%q, %+v", got, r.Findings[0])
		}
		// Nothing of it leaves where nothing does before the end.
		if got, _ := through(t, session(t, policy.Gate{Mode: policy.GateCollected}), false, pieces(secretValue, 1)...); got != "[redacted:known-secret]" {
			t.Errorf("collected: %q", got)
		}
	})
}

// Verdicts, from severities and thresholds.
func TestVerdicts(t *testing.T) {
	aws := "AKIA" + "Q3EGZ7PLDK4WX2MN" // high
	tests := []struct {
		policy  policy.Gate
		text    string
		out     string
		live    string // what of it is let out live; "" is as out
		verdict Verdict
		why     string
	}{
		{policy.Gate{}, "x " + aws + " y", "x [redacted:aws-access-token] y", "", Redact, "medium and above is redacted"},
		{policy.Gate{Redact: policy.SeverityCritical}, "x " + aws + " y", "x " + aws + " y", "", Pass, "high is below critical"},
		{policy.Gate{Redact: policy.SeverityCritical}, "x " + secretValue + " y", "x [redacted:known-secret] y", "", Redact, "a known secret is critical"},
		{policy.Gate{Redact: policy.Off, Block: policy.SeverityHigh}, "x\n" + aws + " y", "", "x\n", Block, "block"},
		{policy.Gate{Quarantine: policy.SeverityHigh}, "x\n" + aws + " y", "", "x\n", Block, "there is no quarantine"},
		{policy.Gate{Block: policy.SeverityCritical}, "x " + aws + " y", "x [redacted:aws-access-token] y", "", Redact, "the worst is not so bad"},
		{policy.Gate{Ignore: []string{"aws-access-token"}}, "x " + aws, "x " + aws, "", Pass, "it does not count"},
		{policy.Gate{Severity: map[string]string{"email": policy.SeverityHigh}, Scanners: []string{policy.ScannerPersonal}}, "a@kavach.dev ", "[redacted:email] ", "", Redact, "it counts for more"},
		{policy.Gate{Mode: policy.GateOff}, secretValue, secretValue, "", "", "nothing is looked at"},
	}
	for _, tt := range tests {
		for _, collected := range []bool{true, false} {
			want := tt.out
			if !collected && tt.live != "" {
				want = tt.live
			}
			out, r := through(t, session(t, tt.policy), collected, tt.text)
			if out != want || r.Verdict != tt.verdict || r.Withheld() != (r.Reason != "") {
				t.Errorf("%s: %q, %+v", tt.why, out, r)
			}
		}
	}
}

// A flood of findings does not hide the worse one behind it (CONTAINMENT.md, 62).
func TestFlood(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "key = %q\n", fmt.Sprintf("abcdefgh%08x", rand.New(rand.NewSource(int64(i))).Uint32()))
	}
	b.WriteString(secretValue)
	out, r := through(t, session(t, policy.Gate{Redact: policy.SeverityLow}), true, b.String())
	if strings.Contains(out, secretValue) || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Rule == KnownRule }) {
		t.Errorf("%d findings, %v, and not the one", len(r.Findings), r.More)
	}
	if n := strings.Count(out, "[redacted:generic-api-key]"); n <= maxKept || r.More["generic-api-key"] != n-maxKept {
		t.Errorf("%d redacted, %v more", n, r.More)
	}
}

// What the sandbox was given may come back, where the policy says so; known secrets
// may not.
func TestInput(t *testing.T) {
	const mail = "someone@kavach.dev"
	for _, allowed := range []bool{false, true} {
		p := policy.Gate{Scanners: []string{policy.ScannerPersonal}, Redact: policy.SeverityLow}
		if allowed {
			p.Input = policy.InputAllowed
		}
		s := session(t, p)
		c := s.Command(1, false)
		if _, err := io.Copy(io.Discard, c.Input(strings.NewReader("to "+mail+", "+secretValue+"\n"))); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := io.WriteString(c.Stream("stdout", &out, How{Collected: true}), "to "+mail+" and other@kavach.dev, "+secretValue); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := "to [redacted:email] and [redacted:email], [redacted:known-secret]"
		if allowed {
			want = "to " + mail + " and [redacted:email], [redacted:known-secret]"
		}
		if out.String() != want {
			t.Errorf("allowed %v: %q", allowed, out.String())
		}
	}
}

// stuck is a scanner that does not come to an end, or crashes.
func stuck(how func()) Scanner {
	return Scanner{Name: "stuck", Version: "1", New: func(Subject) Search { return stuckSearch(how) }}
}

type stuckSearch func()

func (s stuckSearch) Next(w Window, _ func(Match)) Hold { s(); return None(w) }

// A scanner that crashes, or takes too long, withholds (CONTAINMENT.md, 63).
func TestScannerFails(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	tests := []struct {
		how  func()
		why  string
		says string
	}{
		{func() { panic("oops") }, "a crash", "crashed: oops"},
		{func() { <-hang }, "too late", "did not come to an end within 20ms"},
		{func() {}, "the twin: nothing against it", ""},
	}
	for _, tt := range tests {
		for _, collected := range []bool{true, false} {
			g := &Gate{Scanners: []Scanner{stuck(tt.how)}, Timeout: 20 * time.Millisecond}
			if tt.says == "" {
				g.Timeout = 0
			}
			s, err := g.Open(Options{})
			if err != nil {
				t.Fatal(err)
			}
			out, r := through(t, s, collected, "some text\n", "more")
			if tt.says == "" {
				if out != "some text\nmore" || r.Verdict != Pass {
					t.Errorf("%s: %q, %+v", tt.why, out, r)
				}
				continue
			}
			if out != "" || r.Verdict != Block || !strings.Contains(r.Reason, tt.says) {
				t.Errorf("%s: %q, %+v", tt.why, out, r)
			}
			f := File{Name: "f", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }}
			if r, err := s.File(t.Context(), f); err != nil || r.Verdict != Block || !strings.Contains(r.Reason, tt.says) {
				t.Errorf("%s: %v, %+v", tt.why, err, r)
			}
		}
	}
}

// Redacting what was redacted changes nothing, and no byte of a match is left.
func FuzzRedact(f *testing.F) {
	for _, text := range samples() {
		f.Add(text, uint8(5))
	}
	f.Add([]byte(secretValue+secretValue), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		if len(text) > 4096 {
			t.Skip()
		}
		s := session(t, policy.Gate{Redact: policy.SeverityLow})
		whole, r := through(t, s, true, string(text))
		for _, fd := range r.Findings {
			match := text[fd.Offset : fd.Offset+fd.Length]
			if bytes.Count([]byte(whole), match) > bytes.Count(text, match)-1 && len(match) > 16 && fd.Severity >= Low {
				t.Errorf("%q is left in %q", match, whole)
			}
		}
		if again, r := through(t, s, true, whole); again != whole {
			t.Errorf("%q\nagain %q: %+v", whole, again, r)
		}
		live, _ := through(t, s, false, pieces(string(text), int(size)+1)...)
		if strings.Contains(live, secretValue) {
			t.Errorf("live: %q", live)
		}
	})
}
