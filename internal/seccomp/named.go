package seccomp

// Options say for what a filter is compiled.
type Options struct {
	// Arch is the architecture of the guest, as in GOARCH: "amd64" or "arm64".
	// There is no default.
	Arch string

	// Notify answers refused calls with SECCOMP_RET_USER_NOTIF (Linux 5.0):
	// a listener counts them and answers EPERM. Without a listener, or once it
	// is closed, the kernel answers ENOSYS. Zero: EPERM by the filter itself.
	Notify bool

	// NoSetID is as in Config.
	NoSetID bool
}

// Compile returns the filter of one profile, to be installed by itself. Profile is
// "default" or "strict"; "" is strict, as in a policy.
func Compile(profile string, o Options) ([]Instruction, error) {
	m, err := machineOf(o.Arch)
	if err != nil {
		return nil, err
	}
	l, err := named(profile, m)
	if err != nil {
		return nil, err
	}
	if o.NoSetID {
		l = combine(l, restrictions(m, noSetID[:], retAllow))
	}
	if o.Notify {
		return compile(l, m, notify)
	}
	return compile(l, m, nil)
}
