// Package evidence looks at a probe, a process that was started exactly as a
// command is, from outside and from inside, and makes proofs of what was seen.
// The backends whose commands are processes of this kernel share it.
//
// What this package does not protect: it looks, and changes nothing. What the
// probe says of itself is inside's word, and stands alone only where the kernel
// shows nobody else, which each such proof says.
package evidence
