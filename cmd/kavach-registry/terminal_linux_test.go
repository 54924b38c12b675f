package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of 100 columns: its two ends.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestBars(t *testing.T) {
	layer := strings.Repeat("0123456789abcdef", 64<<10)
	for _, well := range []bool{true, false} {
		f := newFake(t, layer)
		if !well {
			f.spoil["blobs/"+digestOf([]byte(layer)).String()] = answers(404)
		}
		master, slave := terminal(t)
		shown := make(chan string)
		go func() {
			text, _ := io.ReadAll(master) // it ends with EIO
			shown <- string(text)
		}()
		cmd := program(t, nil, "fetch", "--platform", "linux/amd64", "--ca", f.ca(), f.host()+"/app", t.TempDir())
		cmd.Stderr = slave
		err := cmd.Run()
		slave.Close()
		text := <-shown
		master.Close()
		if (err == nil) != well {
			t.Errorf("%v, want well %v", err, well)
		}
		bar := digestOf([]byte(layer)).Hex[:12] + " 1.0 MiB / 1.0 MiB ["
		if well && (!strings.Contains(text, bar) || !strings.Contains(text, "all          1.0 MiB / 1.0 MiB [")) {
			t.Errorf("the terminal shows %q", text)
		}
		if !well && strings.Contains(text, "1.0 MiB / 1.0 MiB") {
			t.Errorf("what failed is shown as done: %q", text)
		}
	}
}
