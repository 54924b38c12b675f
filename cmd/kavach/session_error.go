package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

// sessionError is the error of a reply.
type sessionError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *sessionError) Error() string { return e.Message }

// The codes of errors, which docs/session.md explains.
const (
	errSyntax        = "bad_request"
	errTooLong       = "too_long"
	errUnknownMethod = "unknown_method"
	errUnknownField  = "unknown_field"
	errParams        = "bad_params"
	errPolicy        = "bad_policy"
	errImage         = "bad_image"
	errCredential    = "bad_credential"
	errRefused       = "refused"
	errNoSandbox     = "no_sandbox"
	errExists        = "sandbox_exists"
	errNoExec        = "no_such_exec"
	errNoStdin       = "no_stdin"
	errNoTerminal    = "no_terminal"
	errBusy          = "busy"
	errState         = "wrong_state"
	errNotFound      = "command_not_found"
	errNotInvoked    = "command_not_invoked"
	errUnsupported   = "unsupported"
	errFailed        = "failed"
)

func refusef(code, format string, args ...any) error {
	return &sessionError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// asSessionError gives err the code that its type calls for.
func asSessionError(err error) *sessionError {
	var done *sessionError
	if errors.As(err, &done) {
		return done
	}
	var parts []string
	for _, p := range explain(err) {
		if p.fix != "" {
			p.what += "; " + p.fix
		}
		parts = append(parts, p.what)
	}
	return &sessionError{Code: sessionCode(err), Message: strings.Join(parts, "; ")}
}

func sessionCode(err error) string {
	var (
		state       *kavach.StateError
		low         *kavach.ScoreError
		exec        *backend.ExecError
		unavailable *backend.UnavailableError
		unsupported *backend.UnsupportedError
		file        *policyfile.Error
		field       *policy.FieldError
		profile     *seccomp.FileError
		usage       *usageError
		image       *kavach.ImageError
		secret      *credential.Error
	)
	switch {
	case errors.As(err, &image):
		return errImage
	case errors.As(err, &exec) && exec.NotFound():
		return errNotFound
	case errors.As(err, &exec):
		return errNotInvoked
	case errors.As(err, &state):
		return errState
	case errors.As(err, &low), errors.As(err, &unavailable), errors.As(err, &unsupported):
		return errRefused
	case errors.As(err, &file), errors.As(err, &field), errors.As(err, &profile):
		return errPolicy
	case errors.As(err, &usage):
		return errParams
	case errors.Is(err, errors.ErrUnsupported):
		return errUnsupported
	case errors.As(err, &secret):
		return errCredential
	}
	return errFailed
}
