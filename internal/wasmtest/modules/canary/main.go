//go:build wasip1

// Command canary shows that it was given a secret: canary env:NAME|stdin|file:PATH
// hold|print. It prints the SHA-256 of it, and holds it until it is killed, or prints
// it as it is, and in base64.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	secret, err := read(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("sum %x\n", sha256.Sum256(secret))
	if os.Args[2] == "print" {
		fmt.Printf("%s\n%s\n", secret, base64.StdEncoding.EncodeToString(secret))
		return
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
	fmt.Println(len(secret)) // it is still there
}

func read(way string) ([]byte, error) {
	kind, name, _ := strings.Cut(way, ":")
	switch kind {
	case "stdin":
		return io.ReadAll(os.Stdin)
	case "file":
		return os.ReadFile(name)
	}
	return []byte(os.Getenv(name)), nil
}
