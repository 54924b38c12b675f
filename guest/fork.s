// Functions without a body (see fork_linux.go) need an assembly file beside them.
