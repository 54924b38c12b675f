//go:build cgo

package self

// usable is false in a program that is built with cgo: what is to be done on all
// threads of a guest cannot be done then (syscall.AllThreadsSyscall).
const usable = false
