//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// processAttempts are CONTAINMENT 18 to 28.
var processAttempts = map[string]func(args []string) (string, error){
	"look-into":   lookInto,
	"signals":     signals,
	"kill-all":    killAll,
	"kill-none":   killNone,
	"meddle":      meddle,
	"type-in":     typeIn,
	"paste":       paste,
	"terminals":   terminals,
	"daemon":      daemon,
	"daemon-stay": daemonStay,
	"each-thread": eachThread,
	"fork-on":     forkOn,
	"linger":      linger,
	"spawn":       spawn,
	"core":        core,
	"hop":         hop,
	"traceme":     traceme,
	"namespace":   namespace,
	"join":        join,
	"env":         env,
	"shm":         shm,
	"make-shm":    makeShm,
	"mq":          mq,
	"sleep":       sleep,
}

// guest is who started this: the guest, wherever its PID namespace is.
var guest = os.Getppid()

// look-into WHOM HOW reads the memory or takes the descriptors of another: the
// guest, or a child that stands for another command of the same sandbox.
func lookInto(args []string) (string, error) {
	pid := guest
	if args[0] == "sibling" {
		cmd := exec.Command("/proc/self/exe", "linger", "sibling", "20")
		if err := cmd.Start(); err != nil {
			return "start", err
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		pid = cmd.Process.Pid
	}
	runtime.LockOSThread() // whoever traces must be the one that lets go
	ways := map[string]func() error{
		"seize": func() error {
			if err := ptrace(unix.PTRACE_SEIZE, pid); err != nil {
				return err
			}
			_ = ptrace(unix.PTRACE_DETACH, pid) // ends with this process in any case
			return nil
		},
		"vm-read": func() error {
			// Whatever is there: EFAULT is an answer of one who may look.
			buf := make([]byte, 1)
			local := []unix.Iovec{{Base: &buf[0], Len: 1}}
			_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: 1, Len: 1}}, 0)
			if err == unix.EFAULT {
				return nil
			}
			return err
		},
		"vm-write": func() error {
			buf := make([]byte, 1)
			local := []unix.Iovec{{Base: &buf[0], Len: 1}}
			_, err := unix.ProcessVMWritev(pid, local, []unix.RemoteIovec{{Base: 1, Len: 1}}, 0)
			if err == unix.EFAULT {
				return nil
			}
			return err
		},
		"get-fd": func() error {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				return err
			}
			_, err = unix.PidfdGetfd(fd, 0, 0)
			return err
		},
		"kcmp": func() error {
			_, _, err := syscall.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(os.Getpid()), 0, 0, 0, 0)
			return orNil(err)
		},
	}
	return args[1], ways[args[1]]()
}

func ptrace(request, pid int) error {
	_, _, err := syscall.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(pid), 0, 0, 0, 0)
	return orNil(err)
}

func orNil(err syscall.Errno) error {
	if err != 0 {
		return err
	}
	return nil
}

// each-thread FILE opens a file of any thread of the guest.
func eachThread(args []string) (string, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", guest, args[0]))
	if err != nil || len(files) == 0 {
		return "threads", errors.Join(err, errors.New("none is seen"))
	}
	for _, file := range files {
		if seen, openErr := openWrite([]string{file}); openErr == nil {
			return seen, nil
		} else {
			err = openErr
		}
	}
	return args[0], err
}

// signals sends the guest, and each of its threads, every signal in every way
// there is, until it is gone. Whether it is, the caller sees.
func signals([]string) (string, error) {
	pidfd, err := unix.PidfdOpen(guest, 0)
	if err != nil {
		return "pidfd_open", err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", guest))
	if err != nil {
		return "threads", err
	}
	allowed := make(map[string]int)
	// SIGTERM is first: where it gets through, nothing else is needed.
	order := []syscall.Signal{unix.SIGTERM}
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		order = append(order, sig)
	}
	for _, sig := range order {
		info := make([]byte, 128) // siginfo_t, of which the kernel takes si_code
		*(*int32)(unsafe.Pointer(&info[0])) = int32(sig)
		*(*int32)(unsafe.Pointer(&info[8])) = -1 // SI_QUEUE
		ways := map[string]func() error{
			"pidfd": func() error { return unix.PidfdSendSignal(pidfd, sig, nil, 0) },
			"kill":  func() error { return unix.Kill(guest, sig) },
			"queue": func() error {
				_, _, err := syscall.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(guest), uintptr(sig), uintptr(unsafe.Pointer(&info[0])))
				return orNil(err)
			},
			"owner": func() error { return signalByOwner(guest, sig) },
		}
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			ways["tgkill"] = func() error { return unix.Tgkill(guest, tid, sig) }
			ways["tkill"] = func() error {
				_, _, err := syscall.Syscall(unix.SYS_TKILL, uintptr(tid), uintptr(sig), 0)
				return orNil(err)
			}
			for name, way := range ways {
				if os.Getppid() != guest {
					return "the guest is gone", nil // and its number may be another's
				}
				if way() == nil {
					allowed[name]++
				}
			}
		}
	}
	return fmt.Sprint(allowed), nil
}

// signalByOwner has the kernel send a signal: as the owner of one end of a
// socket pair, the guest is told of what comes in.
func signalByOwner(pid int, sig syscall.Signal) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	for _, set := range [][2]int{{unix.F_SETOWN, pid}, {10 /* F_SETSIG */, int(sig)}, {unix.F_SETFL, unix.O_ASYNC}} {
		if _, err := unix.FcntlInt(uintptr(pair[0]), set[0], set[1]); err != nil {
			return err
		}
	}
	_, err = unix.Write(pair[1], []byte("x"))
	return err
}

// kill-all kills everything that it may. It makes sure that it is in a PID
// namespace first: a handful of processes, and the guest is the first of them.
func killAll([]string) (string, error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(names) > 16 || guest != 1 {
		fmt.Println("this does not look like a PID namespace of its own")
		os.Exit(2)
	}
	return "kill -1", unix.Kill(-1, unix.SIGKILL)
}

// kill-none asks whether there is anybody that it may signal.
func killNone([]string) (string, error) { return "kill -1 with signal 0", unix.Kill(-1, 0) }

// meddle HOW changes what the kernel lets the guest do, to what it is already.
func meddle(args []string) (string, error) {
	ways := map[string]func() error{
		"prlimit": func() error {
			var limit unix.Rlimit
			if err := unix.Prlimit(guest, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
				return err
			}
			return unix.Prlimit(guest, unix.RLIMIT_NOFILE, &limit, nil)
		},
		"setpriority": func() error {
			now, err := unix.Getpriority(unix.PRIO_PROCESS, guest)
			if err != nil {
				return err
			}
			return unix.Setpriority(unix.PRIO_PROCESS, guest, 20-now) // the call says 20 - nice
		},
		"affinity": func() error {
			var set unix.CPUSet
			if err := unix.SchedGetaffinity(guest, &set); err != nil {
				return err
			}
			return unix.SchedSetaffinity(guest, &set)
		},
		"scheduler": func() error {
			var param int32
			_, _, err := syscall.Syscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(guest), 0, uintptr(unsafe.Pointer(&param)))
			return orNil(err)
		},
		"ioprio": func() error {
			_, _, err := syscall.Syscall(unix.SYS_IOPRIO_SET, 1, uintptr(guest), 0)
			return orNil(err)
		},
		"oom": func() error { return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", guest), []byte("0"), 0) },
		"comm": func() error {
			name := fmt.Sprintf("/proc/%d/comm", guest)
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			return os.WriteFile(name, b, 0)
		},
		"setpgid": func() error { return unix.Setpgid(0, guest) },
	}
	return args[0], ways[args[0]]()
}

// daemon MARK SECONDS [hold] starts a daemon, and ends. With hold it keeps the
// output open.
func daemon(args []string) (string, error) {
	return "left " + args[0], detach(append([]string{"fork-on"}, args...))
}

// daemon-stay is a daemon whose first process stays as well.
func daemonStay(args []string) (string, error) {
	fmt.Println(args[0])
	if err := detach(append([]string{"fork-on"}, args...)); err != nil {
		return "detach", err
	}
	return linger(args)
}

// fork-on is a daemon's first process, which ends.
func forkOn(args []string) (string, error) {
	return "", detach(append([]string{"linger"}, args...))
}

func detach(args []string) error {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if args[len(args)-1] == "hold" {
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	}
	return cmd.Start() // never waited for: it ends after this
}

// linger MARK SECONDS stays for so long, whatever it is told.
func linger(args []string) (string, error) {
	ignoreAll()
	return sleep(args[1:])
}

// ignoreAll ignores every signal that can be ignored.
func ignoreAll() {
	var action [4]uintptr // struct kernel_sigaction
	action[0] = 1         // SIG_IGN
	for sig := uintptr(1); sig <= 64; sig++ {
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
}

// sleep SECONDS sleeps.
func sleep(args []string) (string, error) {
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	return "slept", nil
}

// spawn SECONDS starts one program after another, and fails where one does. That
// there are too many processes, dead ones among them, is no failure.
func spawn(args []string) (string, error) {
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		if err := exec.Command("/proc/self/exe", "sleep", "0").Run(); err != nil && !errors.Is(err, unix.EAGAIN) {
			return "spawn", err
		}
	}
	return "spawned", nil
}

// core looks whether a core dump would be handed to a program of the host.
func core([]string) (string, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return "getrlimit", err
	}
	if limit.Cur == 1 {
		return "", errors.New("the limit is 1, with which the kernel does not")
	}
	return fmt.Sprintf("the limit is %d", limit.Cur), nil
}

// hop MARK SECONDS SESSION leaves a process that lives on in its child, and that
// in its own, faster than anybody can read the table of processes; SESSION is
// "setsid" where each is to have a session of its own. The first of them stays.
func hop(args []string) (string, error) {
	seconds, err := strconv.Atoi(args[1])
	if err != nil {
		return "", err
	}
	fmt.Println("hopping")
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "", err
	}
	runtime.LockOSThread()
	hopChild(now.Sec+int64(seconds), args[2] == "setsid")
	time.Sleep(time.Until(end))
	return "hopped", nil
}

// hopChild forks, and its child hops on. There is one thread in the child, and
// no Go runtime: nothing here may allocate or grow the stack.
//
//go:norace
//go:nosplit
func hopChild(end int64, setsid bool) {
	pid, _, _ := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if pid != 0 {
		return
	}
	var now unix.Timespec
	for {
		if setsid {
			syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
		}
		syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&now)), 0)
		pid, _, err := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if err == 0 && pid != 0 || now.Sec > end {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
}

// The trick needs a thread that is not the leader. Where the main goroutine has
// the main thread to itself, no other gets it.
func init() { runtime.LockOSThread() }

// traceme leaves a thread that is traced by the parent and has ended, and prints
// its number; then everything else ends. The leader cannot be waited for until
// somebody has waited for that thread.
func traceme([]string) (string, error) {
	tid := make(chan int)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			failed <- errors.New("that was the main thread")
			return
		}
		if err := ptrace(unix.PTRACE_TRACEME, 0); err != nil {
			failed <- err
			return
		}
		tid <- unix.Gettid()
		for { // not by the runtime, which may let another goroutine have it
			syscall.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
		}
	}()
	select {
	case err := <-failed:
		return "PTRACE_TRACEME", err
	case n := <-tid:
		time.Sleep(50 * time.Millisecond) // until it has ended
		return strconv.Itoa(n), nil
	}
}

// namespace HOW FLAG makes a new namespace.
func namespace(args []string) (string, error) {
	flags := map[string]uintptr{
		"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "pid": unix.CLONE_NEWPID, "net": unix.CLONE_NEWNET,
		"ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": unix.CLONE_NEWTIME,
	}
	flag := flags[args[1]]
	runtime.LockOSThread()
	switch args[0] {
	case "unshare":
		// A process with threads may not: a child without any does.
		if pid, err := cloneAndExit(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, flag); err != 0 {
			return "fork", err
		} else if status, err := waitFor(pid); err != nil || status != 0 {
			return args[1], errors.Join(err, syscall.Errno(status))
		}
		return args[1], nil
	case "clone":
		pid, err := cloneAndExit(unix.SYS_CLONE, uintptr(unix.SIGCHLD)|flag, 0, 0)
		if err == 0 {
			_, _ = waitFor(pid)
		}
		return args[1], orNil(err)
	case "clone3":
		clone3 := struct{ flags, pidfd, childTID, parentTID, exit, stack, stackSize, tls uint64 }{
			flags: uint64(flag), exit: uint64(unix.SIGCHLD),
		}
		pid, err := cloneAndExit(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&clone3)), unsafe.Sizeof(clone3), 0)
		if err == 0 {
			_, _ = waitFor(pid)
		}
		return args[1], orNil(err)
	}
	return "", errors.New("no such way")
}

func waitFor(pid uintptr) (int, error) {
	var status unix.WaitStatus
	_, err := unix.Wait4(int(pid), &status, unix.WALL, nil)
	return status.ExitStatus(), err
}

// cloneAndExit makes a child that unshares, if it is told to, and ends with what
// came of it.
//
//go:norace
//go:nosplit
func cloneAndExit(call, arg1, arg2, unshare uintptr) (uintptr, syscall.Errno) {
	pid, _, err := syscall.RawSyscall6(call, arg1, arg2, 0, 0, 0, 0)
	if err != 0 || pid != 0 {
		return pid, err
	}
	if unshare != 0 {
		_, _, err = syscall.RawSyscall(unix.SYS_UNSHARE, unshare, 0, 0)
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(err), 0, 0)
	}
}

// join PATH... enters the namespace of a file, or, where it is "fds", of any
// descriptor that there is.
func join(args []string) (string, error) {
	runtime.LockOSThread()
	if args[0] == "fds" {
		return eachFD(func(fd int) error {
			if fd < 3 {
				return unix.EBADF
			}
			return unix.Setns(fd, 0)
		})
	}
	last := error(nil)
	for _, path := range args {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, 0)
		}
		if err == nil {
			return path, nil
		}
		last = fmt.Errorf("%s: %w", path, err)
	}
	return "", last
}

// env TEXT looks for a text in its environment, and in the guest's.
func env(args []string) (string, error) {
	for _, kv := range os.Environ() {
		if strings.Contains(kv, args[0]) {
			return kv, nil
		}
	}
	return "", errors.New("it is not there")
}

const (
	ipcCreate = 0o1000
	ipcExcl   = 0o2000
)

// shm KEY TEXT looks for a System V segment of shared memory.
func shm(args []string) (string, error) {
	key, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	id, err := unix.SysvShmGet(key, 0, 0)
	if err != nil {
		return "shmget", err
	}
	b, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	if err != nil {
		return "shmat", err
	}
	if !strings.HasPrefix(string(b), args[1]) {
		return "shmat", errors.New("it holds something else")
	}
	return string(b[:len(args[1])]), nil
}

// make-shm KEY TEXT makes one.
func makeShm(args []string) (string, error) {
	key, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	id, err := unix.SysvShmGet(key, os.Getpagesize(), ipcCreate|ipcExcl|0o666)
	if err != nil {
		return "shmget", err
	}
	b, err := unix.SysvShmAttach(id, 0, 0)
	if err == nil {
		copy(b, args[1])
	}
	return strconv.Itoa(id), err
}

// mq NAME opens a POSIX message queue.
func mq(args []string) (string, error) {
	name, err := unix.BytePtrFromString(args[0])
	if err != nil {
		return "", err
	}
	_, _, e := syscall.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)), unix.O_RDONLY|unix.O_NONBLOCK, 0, 0, 0, 0)
	return "mq_open", orNil(e)
}
