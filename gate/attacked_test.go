package gate

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// attackToken has the form of a token of GitHub's, with its checksum: rule github-pat,
// high. It was never issued.
const attackToken = "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"

// The first match of a window at which the verdict is block lets out "what was before
// it" at once: also what matches that come later in the same window, of a scanner that
// is asked later, would have redacted. Scanners report one after the other, known first.
func TestAttackBlockReleasesWhatIsRedactedBefore(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString([]byte("xx password is " + attackToken + " and so on"))
	for name, text := range map[string]string{
		"a token, then a known secret":           "token " + attackToken + " and " + secretValue + "\n",
		"a token in base64, then a known secret": "token " + b64 + " and " + secretValue + "\n",
		"a view, then a token of another rule":   "a " + b64 + " b " + secretValue + "\n",
	} {
		for _, p := range []policy.Gate{{Block: policy.SeverityCritical}, {Quarantine: policy.SeverityCritical}} {
			out, r := through(t, session(t, p), false, text)
			if strings.Contains(out, attackToken) || strings.Contains(out, b64) {
				t.Errorf("%s, %+v: %q left, %s", name, p, out, r.Verdict)
			}
		}
	}
}

// What is before the match may also be held because it is the beginning of something
// that is not over: it is let out all the same.
func TestAttackBlockReleasesWhatIsHeld(t *testing.T) {
	key := "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq0Zx3Qb1nC5tL9yWv8KfRj2sPdUeXhGmAoTiNcVlBz4wSk\n"
	out, r := through(t, session(t, policy.Gate{Block: policy.SeverityCritical}), false, key+secretValue+" ")
	if strings.Contains(out, "MIIEpAIBAAKCAQEA7bq0") {
		t.Errorf("half of a key left: %q, %s", out, r.Verdict)
	}
}

// What the gate cuts out without a mark (an escape sequence that does harm) joins what
// stands around it: so the gate itself puts together a secret that was in two halves.
// Redaction is not idempotent then, and a known secret leaves.
func TestAttackCutJoins(t *testing.T) {
	half := len(secretValue) / 2
	for name, seq := range map[string]string{"clipboard": "\x1b]52;c;aGk=\x07", "cursor": "\x1b[1;1H", "query": "\x05"} {
		for _, collected := range []bool{false, true} {
			s := session(t, policy.Gate{})
			out, _ := through(t, s, collected, "a "+secretValue[:half]+seq+secretValue[half:]+" b\n")
			if strings.Contains(out, secretValue) {
				t.Errorf("%s, collected %v: %q", name, collected, out)
			}
			out, _ = through(t, s, collected, "a "+attackToken[:20]+seq+attackToken[20:]+" b\n")
			if strings.Contains(out, attackToken) {
				t.Errorf("%s, collected %v: %q", name, collected, out)
			}
		}
	}
}

// JSON of encoders that are not Go's: characters beyond the basic plane are two
// escapes, hexadecimal digits may be upper case, and PHP escapes "/" and what is not
// ASCII at once. docs/gate.md: no false negatives in JSON.
func TestAttackKnownInJSON(t *testing.T) {
	tests := []struct{ name, secret, text string }{
		{"python, beyond the basic plane", "correct😀horse battery", `correct\ud83d\ude00horse battery`},
		{"PHP, both", "pässword/and/more of it", `p\u00e4ssword\/and\/more of it`},
		{".NET, upper case", "motörhead é la carte", `mot\u00F6rhead \u00E9 la carte`},
		{".NET, HTML and not ASCII", `mötor & head <and> more`, `m\u00F6tor \u0026 head \u003Cand\u003E more`},
		{"Go for HTML and PHP's slashes", `one/two&three/four`, `one\/two\u0026three\/four`},
	}
	for _, tt := range tests {
		s := session(t, policy.Gate{}, NewSecret("S", []byte(tt.secret)))
		out, r := through(t, s, true, `{"x":"`+tt.text+`"}`)
		if strings.Contains(out, tt.text) {
			t.Errorf("%s: %q, %+v", tt.name, out, r.Findings)
		}
	}
}

// A value that was read from a file ends with a newline; who prints it does not.
func TestAttackKnownWithNewline(t *testing.T) {
	s := session(t, policy.Gate{}, NewSecret("S", []byte("hunter2hunter2hunter2\n")))
	for _, text := range []string{"it is hunter2hunter2hunter2 indeed\n", "{\"x\":\"hunter2hunter2hunter2\"}", base64.StdEncoding.EncodeToString([]byte("hunter2hunter2hunter2"))} {
		if out, r := through(t, s, true, text); r.Verdict != Redact {
			t.Errorf("%q, %s", out, r.Verdict)
		}
	}
}

// Of a line with escapes no more than 256 bytes before the first of them are read: a
// longer secret of which only the end is escaped is not found, though docs/gate.md says
// "escaped as in URLs (whole, or some characters)", with no false negatives.
func TestAttackKnownLongWithLateEscape(t *testing.T) {
	secret := strings.Repeat("Ab3dEf9h_", 40) // as a JWT, of letters that nothing escapes
	text := "x=" + secret[:350] + "%" + strings.ToUpper(hexOf(secret[350])) + secret[351:] + " "
	s := session(t, policy.Gate{Scanners: []string{"terminal"}}, NewSecret("S", []byte(secret)))
	if out, r := through(t, s, true, text); r.Verdict != Redact || strings.Contains(out, secret[:300]) {
		t.Errorf("%d bytes left, %s", len(out), r.Verdict)
	}
}

func hexOf(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// What a member of a zip is called is the program's to say, and is told as the View
// of a finding: in run --json, by kavach scan, and in the records of the quarantine,
// which are not encrypted. It is not masked, and 64 KiB long where the program likes.
func TestAttackViewTellsSecret(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("x/" + secretValue + "/" + attackToken + strings.Repeat("y", 10000))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "a token "+attackToken+" in it")
	z.Close()
	_, r := through(t, session(t, policy.Gate{}), true, b.String())
	for _, f := range r.Findings {
		if strings.Contains(f.View, secretValue) || strings.Contains(f.View, attackToken) {
			t.Errorf("%s: the view tells what was found, in %d bytes", f.Rule, len(f.View))
		}
		if len(f.View) > 1000 {
			t.Errorf("a view of %d bytes", len(f.View))
		}
	}
}

// 1000 tokens whose checksum is wrong (medium), then one that is real (high): the
// verdict knows, and nobody is told what it is about. kavach scan, which goes by the
// findings, exits with 0 where the decoys are below what counts.
func TestAttackDecoysHideTheWorst(t *testing.T) {
	decoy := "ghp_0000abcdefghijklmnopqrstuvwx12345678"
	var text strings.Builder
	for i := range maxKept + 1 {
		d := []byte(decoy)
		d[4+i%16] = byte('A' + i/16%26)
		text.Write(d)
		text.WriteByte('\n')
	}
	text.WriteString(attackToken + "\n")
	r, err := session(t, policy.Gate{}).File(context.Background(), File{
		Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text.String())), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == High }) || r.Reason == "" {
		t.Errorf("%s for %q; %d findings, none is of severity high; more %v", r.Verdict, r.Reason, len(r.Findings), r.More)
	}
}

// More of a file's report has one rule only: each replaces the map.
func TestAttackMoreOfFile(t *testing.T) {
	var text strings.Builder
	for i := range maxKept + 10 {
		text.WriteString("AKIAQYLPMN5HHHFPZAM" + string(rune('A'+i%26)) + " x\n" + secretValue + "\n")
	}
	r, err := session(t, policy.Gate{}).File(context.Background(), File{
		Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text.String())), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.More) < 2 {
		t.Errorf("%v", r.More)
	}
}

// A program of the policy called archive-…: what it finds, whatever the severity, is
// made info for its name's sake, and passes.
func TestAttackExternalNamedArchive(t *testing.T) {
	p := policy.Gate{External: []policy.ExternalScanner{{
		Name: "archive-av", Command: []string{"/bin/sh", "-c", `cat >/dev/null; echo '{"findings":[{"rule":"eicar","severity":"critical","offset":0,"length":3}]}'`},
		Timeout: policy.Duration(20 * time.Second),
	}}}
	out, r := through(t, session(t, p), true, "bad stuff\n")
	if r.Verdict != Redact || strings.Contains(out, "bad stuff") {
		t.Errorf("%q, %s, %+v", out, r.Verdict, r.Findings)
	}
}

// What a program of the policy says when it fails becomes the reason, and is printed:
// also where it repeats what it was given.
func TestAttackExternalRepeatsSecret(t *testing.T) {
	for _, script := range []string{"read x; echo \"cannot parse: $x\" >&2; exit 3", `read x; echo '{"findings":[{"rule":"'"$x"'","severity":"low","offset":0,"length":0}]}'`} {
		p := policy.Gate{External: []policy.ExternalScanner{{
			Name: "av", Command: []string{"/bin/sh", "-c", script}, Timeout: policy.Duration(20 * time.Second),
		}}}
		_, r := through(t, session(t, p, NewSecret("S", []byte("sesame-open-sesame"))), true, "sesame-open-sesame\n")
		if strings.Contains(r.Reason, "sesame-open-sesame") {
			t.Errorf("%s", r.Reason)
		}
	}
}

// What covers many others is one with them, at once.
func TestAttackMerge(t *testing.T) {
	var spans []span
	for i := range int64(100_000) {
		spans = addSpan(spans, span{10 * i, 10*i + 1, []byte("x")})
	}
	if spans = addSpan(spans, span{5, 999_985, []byte("y")}); len(spans) != 3 || spans[1].start != 5 || spans[1].end != 999_985 {
		t.Errorf("%d spans, %v", len(spans), spans[:min(len(spans), 3)])
	}
	if spans = addSpan(spans, span{999_991, 999_995, []byte("x")}); len(spans) != 3 {
		t.Errorf("what one mark stands for is %d spans", len(spans))
	}
}

// Looking stops in the middle of a packed member: a read fails, or the context is
// cancelled. The goroutine that unpacks waits for ever.
func TestAttackUnpackLeaks(t *testing.T) {
	var random [200 << 10]byte
	x := uint32(1)
	for i := range random {
		x = x*1664525 + 1013904223
		random[i] = byte(x >> 24)
	}
	packed := gzipped(string(random[:]))
	s := session(t, policy.Gate{})
	before := runtime.NumGoroutine()
	for range 20 {
		_, err := s.File(context.Background(), File{Name: "x", Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(packed[:150<<10]), failing{})), nil
		}})
		if err == nil {
			t.Fatal("no error")
		}
	}
	time.Sleep(50 * time.Millisecond)
	if n := runtime.NumGoroutine(); n > before+5 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no more") }

// A file with something packed that is not over, and a finding in it, is kept in
// memory whole: what a file gives is bounded by nothing.
func TestAttackFileInMemory(t *testing.T) {
	const size = 256 << 20
	open := func() (io.ReadCloser, error) {
		pr, pw := io.Pipe()
		go func() {
			z, _ := gzip.NewWriterLevel(pw, gzip.NoCompression)
			_, _ = io.WriteString(z, attackToken+"\n")
			line := bytes.Repeat([]byte("a line of text, and another\n"), 4096)
			for n := 0; n < size; n += len(line) {
				if _, err := z.Write(line); err != nil {
					break
				}
			}
			pw.CloseWithError(z.Close())
		}()
		return pr, nil
	}
	var most uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = session(t, policy.Gate{}).File(context.Background(), File{Name: "x", Open: open})
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}
	if most > 128<<20 {
		t.Errorf("%d MiB of heap for a file of %d MiB", most>>20, size>>20)
	}
}

// 64 MiB are unpacked of each member, and of each in it again: 64 KiB that hold 64 MiB
// that hold many times 64 MiB run on for hours when the gate has long given up, in a
// goroutine that nothing ends.
func TestAttackBombRunsOn(t *testing.T) {
	inner := gzipped(strings.Repeat("\x00", 60<<20))
	packed := gzipped(strings.Repeat(string(inner), 900))
	t.Logf("%d bytes", len(packed))
	g := &Gate{Timeout: 300 * time.Millisecond}
	s, err := g.Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	_, r := through(t, s, false, string(packed))
	if !r.Withheld() {
		t.Fatalf("%s", r.Verdict)
	}
	time.Sleep(3 * time.Second)
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("3 s after it was given up, %d goroutines are still at work", n-before)
	}
}

// What the verdict withholds of one stream says nothing of the other: stdout goes on
// to be let out, live, after stderr was blocked.
func TestAttackOtherStreamGoesOn(t *testing.T) {
	var stdout, stderr bytes.Buffer
	c := session(t, policy.Gate{Block: policy.SeverityCritical}).Command(1, false)
	o, e := c.Stream("stdout", &stdout, How{}), c.Stream("stderr", &stderr, How{})
	_, _ = io.WriteString(e, secretValue+"\n")
	_, _ = io.WriteString(o, "all that follows\n")
	r, err := c.Finish(context.Background())
	if err != nil || r.Verdict != Block || stdout.Len() > 0 {
		t.Errorf("%v, %s: %q", err, r.Verdict, stdout.String())
	}
}

// Three bytes of output are one span of 40 bytes and more, until the verdict.
func TestAttackSpansInMemory(t *testing.T) {
	const size = 24 << 20
	var m runtime.MemStats
	s := session(t, policy.Gate{})
	c := s.Command(1, false)
	w := c.Stream("stdout", io.Discard, How{Collected: true})
	piece := []byte(strings.Repeat("\x1b[H", 20<<10))
	for n := 0; n < size; n += len(piece) {
		_, _ = w.Write(piece)
	}
	runtime.GC()
	runtime.ReadMemStats(&m)
	if used := m.HeapInuse; used > 5*size {
		t.Errorf("%d MiB of heap for %d MiB of output", used>>20, size>>20)
	}
	_, _ = c.Finish(context.Background())
}
