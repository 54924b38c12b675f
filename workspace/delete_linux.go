package workspace

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// deleted lists the deletion of what the base has at name, and of all in it. A
// directory with something protected in it is protected whole: half of a
// repository is worse than all of it.
func (d *differ) deleted(base int, name string, p place) error {
	first := len(d.out)
	if err := d.deleteTree(base, name, p); err != nil {
		return err
	}
	tree := d.out[first:]
	if i := slices.IndexFunc(tree, func(c Change) bool { return c.Protected != "" }); i >= 0 {
		for j := range tree {
			if tree[j].Protected == "" {
				tree[j].Protected = "with it would go " + tree[i].Path + ", which is protected"
			}
		}
	}
	return nil
}

func (d *differ) deleteTree(base int, name string, p place) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if p.depth > maxDepth {
		return &LimitError{fmt.Sprintf("directories are nested more than %d deep", maxDepth)}
	}
	c := Change{Path: p.join(name), Kind: Deleted, Type: Special}
	then, existed, err := d.host(base, name, &c)
	if err != nil || c.Refused != "" {
		return errors.Join(err, d.add(c, p))
	}
	if !existed {
		return nil
	}
	defer unix.Close(then.fd)
	c.Type, c.base = then.typ(), then.identity
	if c.Type == Dir {
		names, err := entries(then.fd)
		if err != nil {
			return d.closed(c, p, err)
		}
		slices.Sort(names)
		in := repository(-1, nil, names, place{rel: c.Path, depth: p.depth + 1, opaque: true, gitDir: p.gitDir, made: p.made})
		for _, inside := range names {
			if err := d.deleteTree(then.fd, inside, in); err != nil {
				return err
			}
		}
	}
	return d.add(c, p)
}
