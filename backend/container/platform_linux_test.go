package container

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// TestPlatforms: the doctor tries each, says what came of it, and leaves nothing;
// what it says is so when one is asked for.
func TestPlatforms(t *testing.T) {
	b, p := faulty(t, testbin.Runsc(t))
	before := ownChildren(t)
	info, err := b.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if now := ownChildren(t); !slices.Equal(now, before) {
		t.Errorf("processes %v, before %v", now, before)
	}
	notes := strings.Join(info.Notes, "\n")
	t.Log(notes)
	for _, name := range platforms {
		works := strings.Contains(notes, "platform "+name+" works")
		if works == strings.Contains(notes, "platform "+name+" does not work here") {
			t.Errorf("of %s it says: %s", name, notes)
		}
		asked := *b
		asked.Platform, asked.patience = name, platformPatience
		sb, err := create(t, &asked, p)
		var unavailable *backend.UnavailableError
		switch {
		case works != (err == nil):
			t.Errorf("%s: %v; the doctor says %s", name, err, notes)
		case err != nil && (!errors.As(err, &unavailable) || !strings.Contains(unavailable.Fix, "another platform")):
			t.Errorf("%s: %v", name, err)
		case err == nil:
			inSandbox(t, sb, "true")
		}
	}
	for _, name := range []string{"systrap", "ptrace"} {
		if !strings.Contains(notes, "platform "+name+" works") {
			t.Errorf("%s needs nothing of the machine, and does not work", name)
		}
	}
}

// TestPlatformHangs: one that never starts a container is given up, with all of it.
func TestPlatformHangs(t *testing.T) {
	b, p := faulty(t, testbin.Runsc(t))
	b.Runtime = script(t, "kavach-runsc", "exec sleep 1000")
	b.Platform, b.patience = "kvm", platformPatience
	before := ownChildren(t)
	var unavailable *backend.UnavailableError
	if _, err := create(t, b, p); !errors.As(err, &unavailable) || !strings.Contains(unavailable.Reason, "did not start a container within") {
		t.Errorf("%v", err)
	}
	if now := ownChildren(t); !slices.Equal(now, before) {
		t.Errorf("processes %v, before %v", now, before)
	}
}

// TestRunscRefused: which runsc cannot, and what to do.
func TestRunscRefused(t *testing.T) {
	old := `case "$1" in --version) echo "runsc version 0.0~20221219.0" ;; *) echo "flag provided but not defined: -directfs" >&2; exit 2 ;; esac`
	var unavailable *backend.UnavailableError
	b, p := faulty(t, testbin.Runsc(t))
	b.Runtime = script(t, "runsc", old)
	if _, err := create(t, b, p); !errors.As(err, &unavailable) || !strings.Contains(unavailable.Reason, "version 0.0~20221219.0") ||
		!strings.Contains(unavailable.Fix, "kavach-runsc") {
		t.Errorf("an old one: %v", err)
	}
	b, p = faulty(t, testbin.Runsc(t))
	b.Platform = "none"
	if _, err := create(t, b, p); !errors.As(err, &unavailable) || !strings.Contains(unavailable.Reason, `no platform "none"`) {
		t.Errorf("no such platform: %v", err)
	}
	var unsupported *backend.UnsupportedError
	b, p = faulty(t, testbin.Runsc(t))
	p.Seccomp.Mode = policy.SeccompLog
	if _, err := create(t, b, p); !errors.As(err, &unsupported) || unsupported.Control != policy.SeccompOn {
		t.Errorf("seccomp.mode log: %v", err)
	}
}

// TestLandlockSaid: it is the word of both processes that counts, and that they were
// refused something.
func TestLandlockSaid(t *testing.T) {
	sentry := domain{Process: "sentry", Landlock: 7, Refused: []string{"open /etc"}}
	gofer := domain{Process: "gofer", Landlock: 7, Refused: []string{"connect to a TCP port"}}
	idle := domain{Process: "gofer", Landlock: 7}
	none := domain{Process: "gofer"}
	for _, tt := range []struct {
		why  string
		said []domain
		want backend.State
	}{
		{"both", []domain{sentry, gofer}, backend.Enforced},
		{"a stock runsc says nothing", nil, backend.Missing},
		{"one", []domain{sentry}, backend.Missing},
		{"one of them twice", []domain{gofer, gofer}, backend.Missing},
		{"one was refused nothing", []domain{sentry, idle}, backend.Missing},
		{"a kernel without", []domain{sentry, none}, backend.Missing},
	} {
		r := &run{path: "/usr/bin/runsc", gvisor: gvisor{domains: tt.said}}
		if proof := r.sentryDomain(); proof.State != tt.want {
			t.Errorf("%s: %+v, want %s", tt.why, proof, tt.want)
		}
	}
}
