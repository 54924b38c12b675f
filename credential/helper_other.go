//go:build !linux

package credential

// awaitEnd does nothing: who reaps the child waits for it.
func awaitEnd(int) {}

// noCore does nothing: what RLIMIT_CORE Kavach has, the helper has.
func noCore(int) {}
