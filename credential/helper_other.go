//go:build !linux

package credential

// awaitEnd does not wait: who reaps the child does.
func awaitEnd(int) (ended bool) { return false }

// noCore does nothing: what RLIMIT_CORE Kavach has, the helper has.
func noCore(int) {}
