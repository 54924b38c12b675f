//go:build !linux

// Package backendtest is the one table of what must hold on every backend. What
// it runs is Linux's, and so it is empty elsewhere.
package backendtest
