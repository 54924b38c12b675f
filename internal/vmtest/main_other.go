//go:build !linux

// Command vmtest is of Linux only.
package main

func main() {}
