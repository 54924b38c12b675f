//go:build !linux

// Attack exists on Linux only.
package main

func main() {}
