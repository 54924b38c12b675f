package canary_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/container"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/backend/wasm"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/policy"
)

// Another process plays Kavach: it is given the secret as Kavach is, and this one,
// which has made it, looks for it there and everywhere else.

// part is what that process is to do.
type part struct {
	Place, Runtime                string // where
	Guest, Worker, Cache, Modules string // programs, and what they need
	Source, As, Lifetime          string // of the credential
	Act                           string // one of acts
	Dir                           string // where the record is written
}

// word is what it says when it has come so far; it goes on when it is answered.
type word struct {
	Stage       string
	Text        string // what whoever calls Kavach gets to see
	Unsupported bool   // it matches errors.ErrUnsupported
}

const (
	envPart = "KAVACH_TEST_CANARY" // a part, as JSON

	// Descriptors of the process that plays.
	hearFD, sayFD, secretFD, twinFD = 3, 4, 5, 6

	credentialName = "canary"
)

// player is that process.
type player struct {
	part
	told chan struct{} // an answer
	said *json.Encoder
	twin string // a value of which there is a copy on the heap
}

// play plays the part, and returns the exit code.
func play(text string) int {
	p := &player{told: make(chan struct{}), said: json.NewEncoder(os.NewFile(sayFD, "say"))}
	go p.hear()
	err := json.Unmarshal([]byte(text), &p.part)
	if err == nil {
		var twin []byte
		twin, err = io.ReadAll(os.NewFile(twinFD, "twin"))
		p.twin = string(twin)
	}
	if err == nil {
		err = acts[p.Act](p, context.Background())
	}
	if err != nil {
		p.say(word{Stage: "failed", Text: err.Error(), Unsupported: errors.Is(err, errors.ErrUnsupported)})
		return 1
	}
	runtime.KeepAlive(p.twin)
	return 0
}

// hear hears answers, and ends the process when nobody is there any more.
func (p *player) hear() {
	for r := bufio.NewReader(os.NewFile(hearFD, "hear")); ; {
		if _, err := r.ReadString('\n'); err != nil {
			os.Exit(1)
		}
		p.told <- struct{}{}
	}
}

// say says something, and waits for the answer.
func (p *player) say(w word) {
	_ = p.said.Encode(w) // who does not hear it does not answer
	<-p.told
}

// audit writes all events, as lines of JSON.
type audit struct {
	mu sync.Mutex // guards to
	to *os.File
}

func (a *audit) Record(_ context.Context, e kavach.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return json.NewEncoder(a.to).Encode(e)
}

// placeholders holds nothing.
type placeholders struct{}

const placeholder = "placeholder-of-the-canary"

func (placeholders) Hold(context.Context, string, credential.Grant, []byte) (string, func() error, error) {
	return placeholder, func() error { return nil }, nil
}

func (p *player) backend() backend.Backend {
	switch p.Place {
	case "runc", "crun":
		return &container.Backend{Guest: p.Guest, Runtime: p.Place}
	case "gvisor":
		return &container.Backend{Kind: container.GVisor, Guest: p.Guest, Runtime: p.Runtime}
	case "wasm":
		return &wasm.Backend{Guest: p.Guest, Worker: p.Worker, Cache: p.Cache}
	case "noop":
		return noop.Backend{}
	}
	return &process.Backend{Guest: p.Guest}
}

func (p *player) policy() (policy.Policy, error) {
	policies, err := policy.Preset("strict")
	if err != nil {
		return policies, err
	}
	policies.Credentials = []policy.Credential{{Name: credentialName, Source: p.Source, As: p.As, Lifetime: p.Lifetime}}
	policies.Resources.Timeout = policy.Unlimited
	switch p.Place {
	case "bare":
		policies.BestEffort = []policy.Control{policy.Namespaces}
	case "runc", "crun":
		if os.Geteuid() != 0 {
			policies.Process.User = "0:0" // the only id that the keeper has
		}
	case "wasm":
		policies.Filesystem.Mounts = []policy.Mount{{Source: p.Modules, Target: "/modules"}}
	}
	return policies, nil
}

// create makes the sandbox.
func (p *player) create(ctx context.Context) (*kavach.Sandbox, error) {
	record, err := os.OpenFile(p.Dir+"/audit", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	allowed, err := p.policy()
	if err != nil {
		return nil, err
	}
	b := p.backend()
	rt := &kavach.Runtime{Backends: []backend.Backend{b}, Audit: &audit{to: record}, Placeholders: placeholders{}}
	return rt.Create(ctx, kavach.Config{Policy: allowed, Backend: b.Name(), Inherited: []int{0, 5}})
}
