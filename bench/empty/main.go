// Package main does nothing. How long that takes is the floor of what a Go
// program can do.
package main

func main() {}
