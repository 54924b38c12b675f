package kavach

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// destroyDeadline bounds how long Destroy waits for the kernel. Killing a
// sandbox takes milliseconds; a process in uninterruptible sleep can take longer.
const destroyDeadline = 10 * time.Second

// Sandbox is one isolated place. Its methods may be called at once.
type Sandbox struct {
	id      string
	runtime *Runtime
	backend string
	policy  policy.Policy
	gate    *gate.Session

	credentials *credential.Set

	// instance, score and image are set before the sandbox is handed out, and not
	// changed afterwards. image is nil where the policy names none.
	instance backend.Instance
	score    score.Score
	image    *backend.Image

	// made is before anything of the sandbox was.
	made time.Time

	destroy sync.Mutex // held by the one Destroy, Halt, Changes or Apply that works; guards layers
	layers  []layer    // nil: nobody has asked yet
	files   *rootImage // what image is of; guarded by destroy; nil: nothing is held

	mu    sync.Mutex // guards what follows
	state State
	execs int
	held  []FileReport
}

// ID names the sandbox on this machine.
func (s *Sandbox) ID() string { return s.id }

// Backend is the name of the backend that the sandbox is on.
func (s *Sandbox) Backend() string { return s.backend }

// Policy is what the sandbox was made with; its process is that of the image
// where the caller's said nothing.
func (s *Sandbox) Policy() policy.Policy { return s.policy }

// Score is what was proven when the sandbox was made, before any command ran
// in it.
func (s *Sandbox) Score() score.Score { return s.score }

// Know adds values that must not leave, for all commands that are started from now
// on, and all files; for what runs already, where the sandbox has credentials or secrets. The error matches gate.ErrShort where one is too short to be
// found surely.
func (s *Sandbox) Know(secrets ...gate.Secret) error { return s.gate.Know(secrets...) }

// know has the gate look for what a command is to be given.
func (s *Sandbox) know(given []backend.Secret) error {
	if s.gate.Off() {
		return nil
	}
	secrets := make([]gate.Secret, len(given))
	for i, v := range given {
		if len(v.Value()) < gate.MinSecret {
			return &credential.Error{
				Name: v.Name, Err: fmt.Errorf("it is %w, which takes %d bytes", gate.ErrShort, gate.MinSecret),
				Fix: "use a longer one, or have the gate look at nothing (gate.mode off, --gate off)",
			}
		}
		secrets[i] = gate.NewSecret(v.Name, v.Value())
	}
	return s.gate.Know(secrets...)
}

// Notes is what a person should know of how the sandbox was made: what was left
// out of a seccomp profile, for example. Empty: nothing.
func (s *Sandbox) Notes() []string {
	if noted, ok := s.instance.(backend.Noted); ok {
		return noted.Notes()
	}
	return nil
}

// State is where the sandbox is in its life.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// create opens the image, makes the instance, proves it, and weighs the proof.
func (s *Sandbox) create(ctx context.Context, b backend.Backend, files *rootImage) error {
	if err := s.holdImage(ctx, files); err != nil {
		return err
	}
	instance, err := b.Create(ctx, backend.Spec{ID: s.id, Policy: s.policy, Image: s.image, SecretFiles: s.credentials.Files()})
	if err != nil {
		return err
	}
	s.instance = instance
	proofs, err := instance.Proofs(ctx)
	if err != nil {
		return fmt.Errorf("prove sandbox %s: %w", s.id, err)
	}
	s.score = score.Of(b.Name(), &s.policy, proofs)
	if err := s.refuse(); err != nil {
		return err
	}
	image := s.Image()
	if err := s.runtime.record(ctx, Event{
		Act: ActProve, Sandbox: s.id, Backend: s.backend, Score: s.score.Value, Image: image.Ref, Digest: image.Digest,
	}); err != nil {
		return err
	}
	return s.become("start", Running)
}

// holdImage opens the image that the policy names, if it does, and keeps it until
// Destroy.
func (s *Sandbox) holdImage(ctx context.Context, files *rootImage) error {
	image, err := files.hold(ctx)
	if err != nil || image == nil {
		return err
	}
	s.files, s.image = files, image
	s.policy, err = withImage(s.policy, image)
	return err
}

// refuse holds what was proven against what was asked for: the score, and each
// control. A control in part is shown in the score and not refused (docs/
// RATIONALE.md says why); require.min_score is the way to insist. Noop has no
// controls, and was named by the caller.
func (s *Sandbox) refuse() error {
	if minimum := s.policy.Require.MinScore; s.score.Value < minimum {
		return &ScoreError{Backend: s.backend, Min: minimum, Score: s.score}
	}
	for _, line := range s.score.Controls {
		held := line.State == backend.Enforced || line.State == backend.Partial
		if held || !s.policy.Asks(line.Name) || s.policy.MayMiss(line.Name) {
			continue
		}
		return &backend.UnsupportedError{
			Backend: s.backend, Control: line.Name,
			Reason: fmt.Sprintf("it is %s (%s)", line.State, line.Proof),
			Fix:    fmt.Sprintf("run kavach doctor, or go on without it by naming %s under best_effort", line.Name),
		}
	}
	return nil
}

// become changes the state, or says why it cannot.
func (s *Sandbox) become(act string, next State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.CanBecome(next) {
		return &StateError{Sandbox: s.id, Act: act, State: s.state}
	}
	s.state = next
	return nil
}

// nextExec numbers a command, if commands may start.
func (s *Sandbox) nextExec() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Running {
		return 0, &StateError{Sandbox: s.id, Act: "run a command", State: s.state}
	}
	s.execs++
	return s.execs, nil
}

// Pause freezes every command of the sandbox. It fails with an error that
// matches errors.ErrUnsupported where the backend cannot.
func (s *Sandbox) Pause(ctx context.Context) error {
	return s.freeze(ctx, ActPause, Running, Paused, backend.Pauser.Pause)
}

// Resume lets frozen commands go on.
func (s *Sandbox) Resume(ctx context.Context) error {
	return s.freeze(ctx, ActResume, Paused, Running, backend.Pauser.Resume)
}

func (s *Sandbox) freeze(ctx context.Context, act Act, from, to State, do func(backend.Pauser, context.Context) error) error {
	pauser, ok := s.instance.(backend.Pauser)
	if !ok {
		return fmt.Errorf("cannot %s: backend %s has no pause: %w", act, s.backend, errors.ErrUnsupported)
	}
	s.destroy.Lock() // no Destroy between the state and the deed
	defer s.destroy.Unlock()
	if got := s.State(); got != from {
		return &StateError{Sandbox: s.id, Act: string(act), State: got}
	}
	if err := s.runtime.record(ctx, Event{Act: act, Sandbox: s.id, Backend: s.backend}); err != nil {
		return err
	}
	if err := do(pauser, ctx); err != nil {
		return err
	}
	return s.become(string(act), to)
}

// Destroy ends every command and removes the sandbox. It is legal in every
// state, may be called again, and goes on when ctx is cancelled: what it would
// leave behind is worse than being late.
func (s *Sandbox) Destroy(ctx context.Context) error {
	s.destroy.Lock()
	defer s.destroy.Unlock()
	if s.State() == Destroyed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyDeadline)
	defer cancel()
	var err error
	if s.instance != nil {
		err = s.instance.Destroy(ctx)
	}
	s.credentials.Close() // whatever becomes of the place
	event := Event{Act: ActDestroy, Sandbox: s.id, Backend: s.backend}
	if err != nil {
		event.Err = err.Error()
		return errors.Join(err, s.runtime.record(ctx, event)) // may be tried again
	}
	s.gate.Close()
	if s.files != nil { // nothing has them mounted any more
		if err = s.files.letGo(); err != nil {
			event.Err = err.Error()
		}
	}
	return errors.Join(err, s.become("destroy", Destroyed), s.runtime.record(ctx, event))
}
