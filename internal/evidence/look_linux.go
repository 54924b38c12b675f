package evidence

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Evidence is what was seen of the probe, which was started as a command is:
// from outside, in /proc, and from inside, by trying.
type Evidence struct {
	PID    int            // of the probe, on the host, as the kernel vouches for it
	Report guest.Report   // what the kernel answered to it
	ABI    int            // of Landlock; 0: none
	NS     map[string]int // namespace → its inode, where it is not the host's

	Status    map[string]string // of /proc/PID/status
	UIDMap    string
	Mounts    []Mount
	FDs       []string
	Environ   []string
	Links     []string
	Routes    int
	CgroupErr error          // why there is no cgroup
	Cgroup    *cgroup.Bounds // nil: none
	Limits    string
	HostFile  string

	// Bare says that there are no namespaces, and Canary which file the probe
	// tried to open then.
	Bare   bool
	Canary string

	// Given is the environment that whoever started the guest was told to give it.
	Given []string

	// OwnMemory is allowed to each process on top of the limit of memory where no
	// cgroup bounds it, for the runtime of the code.
	OwnMemory int64

	// RightsGaps are what Landlock cannot keep from commands although mounts
	// leave it out, in sentences.
	RightsGaps []string
}

// Mount is a line of /proc/PID/mountinfo.
type Mount struct {
	ID                  string
	Root, Point, FSType string
	Readonly            bool
}

// Look takes down what /proc says of the probe, which has reported and waits.
// group is the cgroup that its commands are bounded by. Nil: none, for why.
func (e *Evidence) Look(p *Probe, group *cgroup.Group, why error) (err error) {
	if e.Report, e.PID, err = p.report(); err != nil {
		return fmt.Errorf("wait for the probe: %w", err)
	}
	e.CgroupErr = why
	read := func(name string) string {
		b, readErr := rawfile.Read(fmt.Sprintf("/proc/%d/%s", e.PID, name))
		err = errors.Join(err, readErr)
		return string(b)
	}
	e.Status = ParseStatus(read("status"))
	e.UIDMap = strings.Join(strings.Fields(read("uid_map")), " ")
	e.Mounts = ParseMounts(read("mountinfo"))
	e.Environ = strings.FieldsFunc(read("environ"), func(r rune) bool { return r == 0 })
	e.Links = parseLinks(read("net/dev"))
	e.Routes = max(strings.Count(read("net/route"), "\n")-1, 0)
	e.Limits = read("limits")
	if err != nil {
		return fmt.Errorf("look at the probe: %w", err)
	}
	if e.FDs, err = names(fmt.Sprintf("/proc/%d/fd", e.PID)); err != nil {
		return fmt.Errorf("look at the probe: %w", err)
	}
	if e.NS, err = compareNamespaces(e.PID); err != nil {
		return fmt.Errorf("look at the probe: %w", err)
	}
	if group == nil {
		return nil
	}
	bounds, err := group.Bounds(read("cgroup"))
	e.Cgroup = &bounds
	return err
}

func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// ownNamespaces are the namespaces of this process, which does not change them.
var ownNamespaces = sync.OnceValues(func() (map[string]string, error) {
	return namespaceLinks("self")
})

func namespaceLinks(process string) (map[string]string, error) {
	links := make(map[string]string)
	for _, ns := range []string{"pid", "mnt", "net", "ipc", "uts", "cgroup", "user"} {
		link, err := os.Readlink("/proc/" + process + "/ns/" + ns)
		if err != nil {
			return nil, err
		}
		links[ns] = link
	}
	return links, nil
}

func compareNamespaces(pid int) (map[string]int, error) {
	ours, err := ownNamespaces()
	if err != nil {
		return nil, err
	}
	theirs, err := namespaceLinks(strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	differ := make(map[string]int)
	for ns, link := range theirs {
		if link != ours[ns] {
			differ[ns] = inode(link)
		}
	}
	return differ, nil
}

// inode takes the number out of a link such as "pid:[4026531836]".
func inode(link string) int {
	var n int
	_, after, _ := strings.Cut(link, "[")
	_, _ = fmt.Sscanf(after, "%d", &n) // 0: the kernel writes it otherwise now
	return n
}

// ParseStatus reads /proc/PID/status (proc_pid_status(5)).
func ParseStatus(text string) map[string]string {
	status := make(map[string]string)
	for _, line := range strings.Split(text, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			status[key] = strings.TrimSpace(value)
		}
	}
	return status
}

// ParseMounts reads mountinfo (proc_pid_mountinfo(5)).
func ParseMounts(text string) []Mount {
	var mounts []Mount
	for _, line := range strings.Split(text, "\n") {
		before, after, _ := strings.Cut(line, " - ")
		fields, fs := strings.Fields(before), strings.Fields(after)
		if len(fields) < 6 || len(fs) < 1 {
			continue
		}
		mounts = append(mounts, Mount{
			ID: fields[0], Root: fields[3], Point: fields[4], FSType: fs[0],
			Readonly: strings.HasPrefix(fields[5]+",", "ro,"),
		})
	}
	return mounts
}

// parseLinks reads the names of network links from /proc/PID/net/dev.
func parseLinks(text string) []string {
	var links []string
	for _, line := range strings.Split(text, "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok {
			links = append(links, strings.TrimSpace(name))
		}
	}
	return links
}
