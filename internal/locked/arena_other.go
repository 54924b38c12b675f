//go:build !linux

package locked

// acquire has nothing better here than the heap.
func acquire(n int) ([]byte, error) { return make([]byte, n), nil }

func giveBack([]byte) {}
