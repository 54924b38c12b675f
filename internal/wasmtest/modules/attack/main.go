//go:build wasip1

// Command attack is what tests run as a module: it tries what it is told, and says
// what came of it. Exit code 0: it got through; 1: it was stopped.
package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Println("what?")
		os.Exit(2)
	}
	try, ok := attempts[os.Args[1]]
	if !ok {
		fmt.Println("unknown attempt", os.Args[1])
		os.Exit(2)
	}
	if err := try(os.Args[2:]); err != nil {
		fmt.Println("stopped:", err)
		os.Exit(1)
	}
}

var attempts = map[string]func(args []string) error{
	"read": func(args []string) error {
		b, err := os.ReadFile(args[0])
		fmt.Printf("%s", b)
		return err
	},
	"watch":  watch,
	"write":  func(args []string) error { return os.WriteFile(args[0], []byte(args[1]), 0o644) },
	"append": appendTo,
	"list": func(args []string) error {
		entries, err := os.ReadDir(args[0])
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return err
			}
			fmt.Println(e.Name(), info.Mode().Type(), info.Size())
		}
		return err
	},
	"stat": func(args []string) error {
		info, err := os.Stat(args[0])
		if err == nil {
			fmt.Println(info.Mode(), info.Size())
		}
		return err
	},
	"link":   func(args []string) error { return os.Symlink(args[0], args[1]) },
	"hard":   func(args []string) error { return os.Link(args[0], args[1]) },
	"rename": func(args []string) error { return os.Rename(args[0], args[1]) },
	"remove": func(args []string) error { return os.Remove(args[0]) },
	"mkdir":  func(args []string) error { return os.MkdirAll(args[0], 0o755) },
	"shrink": func(args []string) error { return os.Truncate(args[0], 0) },
	"touch":  func(args []string) error { return os.Chtimes(args[0], time.Unix(1, 0), time.Unix(2, 0)) },
	"escape": escape,
	"dial":   dial,
	"echo":   func(args []string) error { fmt.Println(strings.Join(args, " ")); return nil },
	"env":    func([]string) error { fmt.Println(strings.Join(os.Environ(), "\n")); return nil },
	"args":   func([]string) error { fmt.Printf("%q\n", os.Args); return nil },
	"cat":    func([]string) error { _, err := io.Copy(os.Stdout, os.Stdin); return err },
	"cwd":    func([]string) error { dir, err := os.Getwd(); fmt.Println(dir); return err },
	"both":   func([]string) error { fmt.Println("out"); fmt.Fprintln(os.Stderr, "err"); return nil },
	"exit":   func(args []string) error { os.Exit(number(args[0])); return nil },
	"spin": func([]string) error {
		for {
		}
	},
	"sleep": func(args []string) error {
		fmt.Println("ready")
		time.Sleep(time.Duration(number(args[0])) * time.Millisecond)
		return nil
	},
	"grow":    grow,
	"flood":   flood,
	"fill":    fill,
	"inodes":  inodes,
	"clock":   clock,
	"random":  random,
	"recurse": func([]string) error { fmt.Println(recurse(1)); return nil },
	"exec": func([]string) error {
		_, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		return err
	},
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	return n
}

// watch reads a file whenever a line comes: by its name, and as it was opened first.
func watch(args []string) error {
	var first *os.File
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		b, err := os.ReadFile(args[0])
		fmt.Printf("named %q %t", b, err == nil)
		if first == nil {
			first, _ = os.Open(args[0]) // nil: it is not there yet
		}
		if first != nil {
			b, err = io.ReadAll(io.NewSectionReader(first, 0, 1<<20))
			fmt.Printf(", open %q %t", b, err == nil)
		}
		fmt.Println()
	}
	return lines.Err()
}

func appendTo(args []string) error {
	f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(args[1])
	return errors.Join(err, f.Close())
}

// escape reads a file by each way that leads out of a directory.
func escape(args []string) error {
	dir, secret := args[0], args[1]
	up := strings.Repeat("../", 20)
	links := filepath.Join(dir, "made")
	var stopped []error
	for _, name := range []string{
		secret, dir + "/" + up + secret, up + secret, "/proc/1/root" + secret, "/proc/self/root" + secret, "/proc/self/cwd/../.." + secret,
		dir + "/absolute", dir + "/relative", dir + "/through/" + filepath.Base(secret), "/proc/self/fd/3/" + up + secret, "//" + secret, dir + "/./../" + filepath.Base(secret),
	} {
		b, err := os.ReadFile(name)
		if err == nil {
			fmt.Printf("%s: %s", name, b)
			return nil
		}
		stopped = append(stopped, err)
	}
	if err := os.Symlink(up+secret, links); err == nil {
		defer os.Remove(links)
		if b, err := os.ReadFile(links); err == nil {
			fmt.Printf("by a link of its own: %s", b)
			return nil
		}
	}
	return errors.Join(stopped...)
}

func dial(args []string) error {
	c, err := net.DialTimeout(args[0], args[1], time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func grow(args []string) error {
	var all [][]byte
	for n := number(args[0]); len(all) < n; {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	fmt.Println("has", len(all))
	return nil
}

func flood(args []string) error {
	line := []byte(strings.Repeat("x", 1<<16-1) + "\n")
	for n := number(args[0]); n > 0; n-- {
		if _, err := os.Stdout.Write(line); err != nil {
			return err
		}
	}
	return nil
}

func fill(args []string) error {
	f, err := os.Create(filepath.Join(args[0], "fill"))
	if err != nil {
		return err
	}
	defer f.Close()
	for n := number(args[1]); n > 0; n-- {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
	}
	return nil
}

func inodes(args []string) error {
	for n := number(args[1]); n > 0; n-- {
		if err := os.WriteFile(filepath.Join(args[0], fmt.Sprint("f", n)), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func clock([]string) error {
	begin := time.Now()
	time.Sleep(time.Hour)
	fmt.Println(begin.UTC().Format(time.RFC3339Nano), time.Since(begin).Round(time.Second))
	return nil
}

func random([]string) error {
	b := make([]byte, 32)
	_, err := rand.Read(b)
	fmt.Printf("%x\n", b)
	return err
}

func recurse(n int) int {
	var frame [64]int
	frame[n%64] = n
	return recurse(n+1) + frame[(n+1)%64]
}
