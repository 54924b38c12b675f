// Package agent is the host's side of a guest: it starts commands over a channel
// and hears of their end. It is the same for a guest in a jail of ours and for
// one that an OCI runtime has started.
//
//	jail, container                agent                          guest
//	  │ set-up, evidence, Answer     │                              │
//	  │ New ───────────────────────▶ │                              │
//	  │ Exec ──────────────────────▶ │ Exec, with descriptors ────▶ │
//	  │ ◀──────── *Process ───────── │ ◀── Started, or Refused ──── │
//	  │ Wait ──────────────────────▶ │ ◀── Exited ───────────────── │
//	  │ ◀───────── its end ───────── │ ◀── end of file ──────────── │
//
// What this package does not protect: a guest is inside, and may lie about its
// own commands. What it says is bounded and parsed; it decides nothing but how a
// command ended.
package agent
