//go:build linux

package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// credentialAttempts are CONTAINMENT 55.
var credentialAttempts = map[string]func(args []string) (string, error){"seek": seek}

// seekMask keeps what is sought from being found in the one who seeks.
const seekMask = 0x5a

// seek TEXT looks for a text, whose bytes are given in hexadecimal and masked, wherever
// a command of a sandbox can look: in the processes that there are, and in the files
// that can be written to or come from the sandbox.
func seek(args []string) (string, error) {
	masked, err := hex.DecodeString(args[0])
	if err != nil {
		return "seek", err
	}
	var found []string
	looked := 0
	look := func(name string, read func() ([]byte, error)) {
		b, err := read()
		if err != nil {
			return
		}
		looked++
		if holdsMasked(b, masked) {
			found = append(found, name)
		}
	}
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range pids {
		if dir == "/proc/"+strconv.Itoa(os.Getpid()) {
			continue
		}
		for _, file := range []string{"environ", "cmdline", "auxv", "comm"} {
			look(dir+"/"+file, func() ([]byte, error) { return os.ReadFile(dir + "/" + file) })
		}
		look(dir+"/mem", func() ([]byte, error) { return memoryOf(dir) })
	}
	look("own environment", func() ([]byte, error) { return []byte(strings.Join(os.Environ(), "\n")), nil })
	for _, top := range []string{"/run", "/tmp", "/dev/shm", "/var", "/etc", "/home", "/root", "/srv"} {
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				look(path, func() ([]byte, error) { return readSome(path) })
			}
			return nil
		})
	}
	seen := fmt.Sprintf("looked at %d places, found in %v", looked, found)
	if len(found) == 0 {
		return seen, errors.New("it is nowhere")
	}
	return seen, nil
}

func holdsMasked(b, masked []byte) bool {
	first := masked[0] ^ seekMask
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], first)
		if i < 0 {
			return false
		}
		at += i
		if len(b)-at < len(masked) {
			return false
		}
		same := true
		for k := range masked {
			same = same && b[at+k] == masked[k]^seekMask
		}
		if same {
			return true
		}
	}
}

const seekMost = 8 << 20 // bytes of one file, and of one mapping

func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, seekMost))
}

// memoryOf is what can be read of the memory of another process.
func memoryOf(dir string) ([]byte, error) {
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		return nil, err
	}
	mem, err := os.Open(dir + "/mem")
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	var all []byte
	for _, line := range strings.Split(string(maps), "\n") {
		var from, to int64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || mode[0] != 'r' || to-from > seekMost {
			continue
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, from) // a part of it may be gone
		all = append(all, b[:n]...)
	}
	return all, nil
}
