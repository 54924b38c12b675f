package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/policy"
)

// applySecrets puts what --secret names beside, and in the place of what has the same
// name among, the secrets of the policy. From there on nothing that is started sees
// where they come from.
func (j *job) applySecrets(p *policy.Policy) error {
	for _, c := range j.given {
		if i := named(p.Credentials, c.Name); i >= 0 {
			p.Credentials = slices.Delete(slices.Clone(p.Credentials), i, i+1)
		}
		p.Credentials = append(p.Credentials, c)
	}
	if err := j.guard.guard(p.Credentials); err != nil {
		return err
	}
	j.config.Inherited = inheritedBy(p.Credentials)
	for _, c := range p.Credentials {
		if err := j.checkSecret(c); err != nil {
			return err
		}
	}
	return nil
}

// inheritedBy are the descriptors that credentials come from, which a guard has seen to
// be inherited. What is no number has been refused.
func inheritedBy(list []policy.Credential) (fds []int) {
	for _, c := range list {
		switch kind, number := c.Where(); kind {
		case policy.CredentialStdin:
			fds = append(fds, 0)
		case policy.CredentialFD:
			if fd, err := strconv.Atoi(number); err == nil {
				fds = append(fds, fd)
			}
		}
	}
	return fds
}

// checkSecret refuses what other flags, and stdin, have no room for.
func (j *job) checkSecret(c policy.Credential) error {
	from, _ := c.Where()
	way, variable := c.Target()
	switch {
	case from == policy.CredentialStdin && j.interactive:
		return usagef("leave --interactive out, or take the secret from env:NAME, file:PATH, fd:N or cmd:PROGRAM",
			"secret %s is read from stdin, and --interactive gives stdin to the command", c.Name)
	case from == policy.CredentialStdin && slices.Contains(j.policies, "-"):
		return usagef("put the policy into a file", "secret %s and --policy - both read stdin", c.Name)
	case from == policy.CredentialStdin && isTerminal(os.Stdin):
		return usagef(fmt.Sprintf(`pipe it: PROGRAM | kavach run …; or to type it: read -rs V && printf %%s "$V" | kavach run …`),
			"secret %s is read from stdin, which is a terminal, and would show it", c.Name)
	case way == policy.CredentialStdin && (j.interactive || j.tty):
		return usagef("leave them out, or give the secret as env:VAR, fd:N or file:PATH",
			"secret %s is given on the command's stdin, and --interactive and --tty connect that to another thing", c.Name)
	case way == policy.CredentialEnv || way == policy.CredentialPlaceholder:
		if sets(j.cmd.Env, variable) {
			return usagef("leave one of them out", "secret %s is given as variable %s, and --env or --env-file sets that too", c.Name, variable)
		}
	}
	return nil
}

// sets reports whether a variable is among those of env.
func sets(env []string, variable string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, variable+"=") })
}

// secretField is the --secret that has made the credential of a field, or "".
func (j *job) secretField(field string) string {
	list := j.config.Policy.Credentials
	at := 0
	if n, err := fmt.Sscanf(field, "credentials[%d]", &at); n != 1 || err != nil || at >= len(list) || named(j.given, list[at].Name) < 0 {
		return ""
	}
	_, key, _ := strings.Cut(field, "].")
	return "--secret " + list[at].Name + ": " + key
}

// grantText says what a command was given, for people.
func grantText(g credential.Grant) string {
	return fmt.Sprintf("%s from %s as %s (%s)", g.Name, g.Source, g.As, g.Lifetime)
}
