//go:build !linux

// Command init is of Linux only.
package main

func main() {}
