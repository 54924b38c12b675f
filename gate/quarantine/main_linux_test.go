package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/gate"
)

// envChild makes the test binary one of these programs, which work on the store
// in the directory that is its argument.
const envChild = "KAVACH_TEST_QUARANTINE"

var children = map[string]func(s *Store) error{
	"keep":    keepForEver,
	"full":    keepWithoutRoom,
	"approve": approveOnce,
	"decide":  decideForEver,
}

func TestMain(m *testing.M) {
	run := children[os.Getenv(envChild)]
	if run == nil {
		os.Exit(m.Run())
	}
	if err := run(&Store{Dir: os.Args[1] + "/store", Keys: os.Args[1] + "/keys"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child is a program that works on the store in dir.
func child(t *testing.T, name, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{dir}, args...)...)
	cmd.Env = append(os.Environ(), envChild+"="+name)
	return cmd
}

// newStore is a store in a directory of its own, which it returns.
func newStore(t *testing.T) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	return &Store{Dir: filepath.Join(dir, "store"), Keys: filepath.Join(dir, "keys")}, dir
}

// secret is what findings of these tests are about.
const secret = "ghp_0123456789abcdefghij"

// output is that of a command that has printed a secret.
const output = "the token is " + secret + ", and more\n"

func withheld() gate.Held {
	return gate.Held{
		Sandbox: "5f0c", Exec: 1, Verdict: gate.Quarantined,
		Findings: []gate.Finding{{
			Rule: "github-token", Severity: gate.High, Stream: "stdout",
			Offset: int64(strings.Index(output, secret)), Length: int64(len(secret)), Preview: gate.Mask([]byte(secret)),
		}},
	}
}

func keep(t *testing.T, s *Store, h gate.Held, parts ...string) string {
	t.Helper()
	if len(parts) == 0 {
		parts = []string{"stdout", output}
	}
	var list []gate.Part
	for i := 0; i < len(parts); i += 2 {
		list = append(list, gate.Part{Name: parts[i], Content: strings.NewReader(parts[i+1])})
	}
	id, err := s.Keep(t.Context(), h, list...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func keys(t *testing.T, s *Store) Identities {
	t.Helper()
	ids, err := s.Identities("")
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

var ann = Decision{By: "Ann Example", Reason: "a test key"}

// reveal returns the content of a part, or what went wrong.
func reveal(s *Store, id, part string) (string, error) {
	ids, err := s.Identities("")
	if err != nil {
		return "", err
	}
	r, err := s.Reveal(context.Background(), id, part, ann, ids)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), errors.Join(err, r.Close())
}

// keepForEver keeps an item after the other, and prints the ids.
func keepForEver(s *Store) error {
	for {
		content := bytes.Repeat([]byte(output), 5000) // some chunks of age
		id, err := s.Keep(context.Background(), withheld(),
			gate.Part{Name: "stdout", Content: bytes.NewReader(content)}, gate.Part{Name: "stderr", Content: strings.NewReader("more")})
		if err != nil {
			return err
		}
		fmt.Println(id)
	}
}

// decideForEver keeps items, and approves, rejects or purges each.
func decideForEver(s *Store) error {
	ctx := context.Background()
	for i := 0; ; i++ {
		id, err := s.Keep(ctx, withheld(), gate.Part{Name: "stdout", Content: strings.NewReader(output)})
		if err != nil {
			return err
		}
		ids, err := s.Identities("")
		if err != nil {
			return err
		}
		switch i % 4 {
		case 0:
			_, err = s.Approve(ctx, id, ann, ids, Release{Part: "stdout", File: filepath.Join(os.Args[1], "out", id)})
		case 1:
			_, err = s.Reject(ctx, id, ann)
		case 2:
			_, err = s.Purge(ctx, Purge{IDs: []string{id}, Force: true})
		}
		if err != nil {
			return err
		}
	}
}

// approveOnce approves the item that is its second argument.
func approveOnce(s *Store) error {
	ids, err := s.Identities("")
	if err != nil {
		return err
	}
	_, err = s.Approve(context.Background(), os.Args[2], Decision{By: "pid " + fmt.Sprint(os.Getpid()), Reason: "first"}, ids, Release{Part: "stdout", To: os.Stdout})
	return err
}

// keepWithoutRoom keeps more than a file may have here.
func keepWithoutRoom(s *Store) error {
	signal.Ignore(syscall.SIGXFSZ) // so that it is an error, as on a disk that is full
	limit := &syscall.Rlimit{Cur: 100_000, Max: 100_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, limit); err != nil {
		return err
	}
	_, err := s.Keep(context.Background(), withheld(), gate.Part{Name: "stdout", Content: io.LimitReader(forEver{}, 200_000)})
	return err
}

// forEver is content without an end.
type forEver struct{}

func (forEver) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

// at is a clock that stands still.
func at(t time.Time) func() time.Time { return func() time.Time { return t } }
