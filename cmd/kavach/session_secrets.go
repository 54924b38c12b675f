package main

import (
	"fmt"
	"slices"

	"github.com/kavach-dev/kavach/policy"
)

// applyCredentials adds what a request names to the secrets of the policy, and keeps
// where they come from to this process. Stdin is where requests come from.
func (s *session) applyCredentials(params *createParams, p *policy.Policy) error {
	for i, text := range params.Credentials {
		var c policy.Credential
		if err := decode(fmt.Sprintf("params.credentials[%d]", i), text, &c); err != nil {
			return err
		}
		p.Credentials = append(p.Credentials, c)
	}
	if err := policy.CheckCredentials(p.Credentials, nil); err != nil {
		return err
	}
	for i, c := range p.Credentials {
		if from, _ := c.Where(); from == policy.CredentialStdin {
			return &policy.FieldError{
				Field: fmt.Sprintf("credentials[%d].source", i), Problem: "stdin is where the requests of the session come from",
				Fix: "use env:NAME, file:PATH, fd:N or cmd:PROGRAM",
			}
		}
	}
	return s.guard.guard(p.Credentials)
}

// checkCredentials looks at which of the sandbox's secrets a command is to be given,
// and refuses those that are where it has something else.
func (p *execParams) checkCredentials(all []policy.Credential) error {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	for i, name := range p.Credentials {
		if len(all) == 0 {
			return refusef(errParams, "params.credentials[%d]: the sandbox has no credentials; name them in create", i)
		}
		if !slices.Contains(names, name) {
			return refusef(errParams, "params.credentials[%d]: there is no credential %q; %s", i, name, nearest(name, names, "the credentials"))
		}
	}
	for _, c := range all {
		if p.Credentials != nil && !slices.Contains(p.Credentials, c.Name) {
			continue
		}
		switch way, variable := c.Target(); {
		case way == policy.CredentialStdin && (p.Stdin || p.hasTerminal()):
			return refusef(errParams, `credential %s is given on the command's stdin; leave "stdin" and "terminal" out, or leave it out of "credentials"`, c.Name)
		case (way == policy.CredentialEnv || way == policy.CredentialPlaceholder) && p.sets(variable):
			return refusef(errParams, `params.env[%q]: credential %s is given as that variable; leave one of them out`, variable, c.Name)
		}
	}
	return nil
}

func (p *execParams) sets(variable string) bool {
	_, set := p.Env[variable]
	return set
}

func (p *execParams) hasTerminal() bool { return len(p.Terminal) > 0 && string(p.Terminal) != "null" }
