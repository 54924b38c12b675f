package policy

// Credential is a secret that a command is given: where its value is, and by which
// way the command gets it. The value itself is never in a policy.
type Credential struct {
	// Name is what it is called in results, findings and errors, and what a helper
	// program is asked for: letters, digits and ._/:@- .
	Name string `json:"name"`

	// Source is where the value is: "env:NAME" (a variable of Kavach's own
	// environment), "file:PATH" (absolute), "stdin" (Kavach's, to its end), "fd:N" (a
	// descriptor that Kavach inherited, to its end), or "cmd:PROGRAM" (what a helper
	// program prints: an absolute path, or a name that is looked up in Kavach's own
	// PATH).
	Source string `json:"source"`

	// As is how the command gets it: "env:VAR", "stdin", "fd:N" (a pipe, as its
	// descriptor N), "file:PATH" (a file that is nowhere but in memory, at PATH
	// inside), or "placeholder:VAR" (a variable that holds something else in its
	// place, for which the value is put in on the way out). Empty: env:NAME, with
	// the credential's own name.
	As string `json:"as,omitempty"`

	// Lifetime is how long it is given: "command" (until the command ends), "sandbox"
	// (of a file: until the sandbox ends), or a duration, such as "10m", after
	// which it is taken back though the command still runs (not of env:VAR: what is
	// in an environment stays there). Empty: command.
	Lifetime string `json:"lifetime,omitempty"`

	// Shared allows a Source file:PATH that others than its owner can read. Zero: it
	// is refused.
	Shared bool `json:"shared,omitempty"`
}

// The kinds of a Credential's Source and As: what is before the colon, or all of it.
const (
	CredentialEnv         = "env"
	CredentialFile        = "file"
	CredentialStdin       = "stdin"
	CredentialFD          = "fd"
	CredentialCommand     = "cmd"
	CredentialPlaceholder = "placeholder"
)

// Lifetimes of a Credential beside durations.
const (
	LifetimeCommand = "command"
	LifetimeSandbox = "sandbox"
)

// The descriptors that As "fd:N" can name: those from 0 to 2 are the command's stdio.
const (
	FirstCredentialFD = 3
	LastCredentialFD  = 63
)
