package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/kavach-dev/kavach"
)

// auditLog appends records to a file, one JSON object a line, and is done with a
// record when the disk has it. After the first failure it takes no more: what
// the file holds then is not known, and without a record nothing happens.
type auditLog struct {
	mu     sync.Mutex // guards what follows
	file   logFile
	seq    int64
	broken error
}

// logFile is an *os.File that was opened for appending.
type logFile interface {
	io.WriteCloser
	Sync() error
}

// record is a line of the log.
type record struct {
	Seq  int64  `json:"seq"` // from 1 on in each run
	Node string `json:"node"`
	kavach.Event
}

// openLog opens the log, and makes it where there is none.
func openLog(path string) (*auditLog, error) {
	const flags = os.O_CREATE | os.O_APPEND | os.O_RDWR
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	if err := errors.Join(whole(f), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(fmt.Errorf("open the audit log %s: %w", path, err), f.Close())
	}
	return &auditLog{file: f}, nil
}

// whole reports a file that does not end with a whole line: its writer died, and
// a line more would be appended to half of one.
func whole(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil {
		return err
	}
	if last[0] != '\n' {
		return errors.New("its last record is torn; keep the file, and start another")
	}
	return nil
}

// syncDir makes the name of a new file last, too.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// of is the log as the Runtime of one node sees it.
func (l *auditLog) of(node string) kavach.Audit { return nodeLog{l, node} }

type nodeLog struct {
	log  *auditLog
	node string
}

// Record returns when the disk has the record.
func (n nodeLog) Record(_ context.Context, e kavach.Event) error { return n.log.append(n.node, e) }

func (l *auditLog) append(node string, e kavach.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return fmt.Errorf("the log failed before: %w", l.broken)
	}
	line, err := json.Marshal(record{Seq: l.seq + 1, Node: node, Event: e})
	if err != nil {
		return err
	}
	if _, err = l.file.Write(append(line, '\n')); err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.broken = err
		return err
	}
	l.seq++
	return nil
}

func (l *auditLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
