//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a row sees on the host, where commands are processes of its kernel, these
// tell from inside.

func init() {
	attempts["processes"] = processes
	attempts["count"] = count
	attempts["each-status"] = eachStatus
}

// processes WORD... prints the processes, but this and the guest, that have all of
// these words among their arguments, and are not dead.
func processes(words []string) (string, error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return "processes", err
	}
	var found []string
	for _, name := range names {
		pid := filepath.Base(name)
		if pid == strconv.Itoa(os.Getpid()) || pid == strconv.Itoa(guest) {
			continue
		}
		status, err := os.ReadFile(name + "/status")
		if err != nil || strings.Contains(string(status), "\nState:\tZ") {
			continue
		}
		b, _ := os.ReadFile(name + "/cmdline") // it may have ended
		args := strings.Split(string(b), "\x00")
		if !slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(args, word) }) {
			found = append(found, pid)
		}
	}
	return strings.Join(found, " "), nil
}

// count counts processes and tasks, but its own, until its input ends, and prints
// the most that there were, whenever there are more.
func count([]string) (string, error) {
	fmt.Println("counting")
	done := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(done) }()
	self := "/proc/" + strconv.Itoa(os.Getpid())
	var processes, tasks int
	for {
		names, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
		names = slices.DeleteFunc(names, func(name string) bool { return name == self })
		all := 0
		for _, name := range names {
			ids, _ := filepath.Glob(name + "/task/[0-9]*")
			all += len(ids)
		}
		if len(names) > processes || all > tasks {
			processes, tasks = max(processes, len(names)), max(tasks, all)
			fmt.Println(processes, tasks)
		}
		select {
		case <-done:
			return fmt.Sprintf("%d %d", processes, tasks), nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// each-status FIELD WANT LEAST gets through where a thread of any process has
// something else in this field of its status. There are LEAST threads or more.
func eachStatus(args []string) (string, error) {
	files, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/status")
	if err != nil {
		return "threads", err
	}
	checked := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		checked++
		if !slices.Contains(strings.Split(string(b), "\n"), args[0]+":\t"+args[1]) {
			return file + " has no " + args[0] + ":\t" + args[1], nil
		}
	}
	if least, err := strconv.Atoi(args[2]); err != nil || checked < least {
		broken(fmt.Errorf("only %d threads are seen", checked))
	}
	return args[0], fmt.Errorf("%s in each of %d threads", args[1], checked)
}
