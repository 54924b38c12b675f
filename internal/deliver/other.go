//go:build !linux

package deliver

import (
	"errors"
	"fmt"
	"os"
)

var errNotHere = fmt.Errorf("exports need Linux: %w", errors.ErrUnsupported)

// Place is where something is to be put.
type Place struct{ Path string }

// File is a file that is not in its place yet.
type File struct{ *os.File }

// Tree is a directory that is not in its place yet.
type Tree struct{}

// Open needs Linux, as all that follows.
func Open(string, string, bool) (*Place, error) { return nil, errNotHere }
func (*Place) Close() error                     { return nil }
func (*Place) File() (*File, error)             { return nil, errNotHere }
func (*Place) Tree() (*Tree, error)             { return nil, errNotHere }
func (*File) Settle(uint32) error               { return errNotHere }
func (*File) Discard() error                    { return nil }
func (*Tree) Dir(string) error                  { return errNotHere }
func (*Tree) File(string) (*os.File, error)     { return nil, errNotHere }
func (*Tree) Open(string) (*os.File, error)     { return nil, errNotHere }
func (*Tree) Remove(string) error               { return errNotHere }
func (*Tree) Settle([]string) error             { return errNotHere }
func (*Tree) Discard() error                    { return nil }
