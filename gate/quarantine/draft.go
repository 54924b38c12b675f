package quarantine

import "os"

// draft is a file that has no name yet, so that it is gone when whoever writes it
// dies: it is content that nobody has let out. Where the file system has no such
// files, it has a name of its own.
type draft struct {
	dir  *os.Root
	file *os.File
	name string // where it is; empty: nowhere
	own  string // the name that it has where it needs one
}

func newDraft(dir *os.Root, own string) (*draft, error) {
	d := &draft{dir: dir, own: own}
	var err error
	if d.file, err = openNameless(dir); err == nil {
		return d, nil
	}
	if d.file, err = dir.OpenFile(own, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private); err != nil {
		return nil, err
	}
	d.name = own
	return d, nil
}

// settle gives the file its name, which nothing must have, unless it is replaced.
func (d *draft) settle(name string, replace bool) error {
	if d.name == "" && !replace {
		return linkFile(d.dir, d.file, name)
	}
	if d.name == "" { // a link takes nobody's place, and a name does
		if err := linkFile(d.dir, d.file, d.own); err != nil {
			return err
		}
		d.name = d.own
	}
	var err error
	if replace {
		err = d.dir.Rename(d.name, name)
	} else {
		err = renameNew(d.dir, d.name, name)
	}
	if err == nil {
		d.name = ""
	}
	return err
}

// end removes what was not settled.
func (d *draft) end() {
	_ = d.file.Close() // what counts of it was brought to disk
	if d.name != "" {
		_ = d.dir.Remove(d.name) // there is nobody to tell who could do more
	}
}
