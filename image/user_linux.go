package image

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/layer"
)

// maxPasswd bounds /etc/passwd and /etc/group of an image.
const maxPasswd = 4 << 20

// maxUID is the highest id that a sandbox maps.
const maxUID = 65535

// UserError says that an image wants to run as somebody it does not have.
type UserError struct {
	User   string // as the image has it
	Reason string
}

func (e *UserError) Error() string {
	return fmt.Sprintf("the image says that its commands run as %q, but %s; name another user, as UID or UID:GID", short(e.User), e.Reason)
}

// resolve finds the user of an image in its own files.
func (c *execConfig) resolve(layers []string) (backend.ImageConfig, error) {
	config := backend.ImageConfig{Env: c.Env, Dir: c.dir(), Entrypoint: c.Entrypoint, Cmd: c.Cmd}
	if c.User == "" {
		return config, nil
	}
	tree, err := layer.OpenTree(layers)
	if err != nil {
		return config, err
	}
	defer tree.Close()
	config.UID, config.GID, err = resolveUser(tree, c.User)
	var nobody *UserError
	if errors.As(err, &nobody) { // whoever names another user needs none of the image's
		config.UserErr = err
		return config, nil
	}
	return config, err
}

// resolveUser reads USER[:GROUP], each a name or a number (OCI image-spec,
// config.md). Without a group it is that of the user in /etc/passwd, or 0.
func resolveUser(tree *layer.Tree, s string) (uid, gid int, err error) {
	user, group, hasGroup := strings.Cut(s, ":")
	uid, isNumber := parseID(user)
	if !isNumber || !hasGroup {
		entry, err := findEntry(tree, "/etc/passwd", user, 2)
		if err != nil {
			return 0, 0, err
		}
		switch {
		case entry != nil:
			var ok1, ok2 bool
			uid, ok1 = parseID(entry[2])
			gid, ok2 = parseID(entry[3])
			if !ok1 || !ok2 {
				return 0, 0, &UserError{s, fmt.Sprintf("its /etc/passwd gives %q the ids %q and %q", user, short(entry[2]), short(entry[3]))}
			}
		case !isNumber:
			return 0, 0, &UserError{s, fmt.Sprintf("its /etc/passwd has no user %q", short(user))}
		}
	}
	if hasGroup {
		if gid, isNumber = parseID(group); !isNumber {
			entry, err := findEntry(tree, "/etc/group", group, 2)
			if err != nil {
				return 0, 0, err
			}
			if entry == nil {
				return 0, 0, &UserError{s, fmt.Sprintf("its /etc/group has no group %q", short(group))}
			}
			if gid, isNumber = parseID(entry[2]); !isNumber {
				return 0, 0, &UserError{s, fmt.Sprintf("its /etc/group gives %q the id %q", group, short(entry[2]))}
			}
		}
	}
	if uid > maxUID || gid > maxUID {
		return 0, 0, &UserError{s, fmt.Sprintf("ids above %d are not mapped in a sandbox", maxUID)}
	}
	return uid, gid, nil
}

// parseID reads a number that an id can be; strings that look like none are names.
func parseID(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// findEntry finds a line of passwd(5) or group(5) by its name, or by the number
// in its field at. nil: there is none.
func findEntry(tree *layer.Tree, file, key string, at int) ([]string, error) {
	b, err := tree.ReadFile(file, maxPasswd)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fields := 4 // name:password:gid:members
	if strings.HasSuffix(file, "passwd") {
		fields = 7
	}
	_, isNumber := parseID(key)
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) >= fields && key != "" && (f[0] == key || isNumber && f[at] == key) {
			return f, nil
		}
	}
	return nil, nil
}
