//go:build !linux

package quarantine

import (
	"errors"
	"fmt"
	"os"
)

var errNotLinux = fmt.Errorf("there is a quarantine on Linux only: %w", errors.ErrUnsupported)

func defaultDir() (string, error)               { return "", errNotLinux }
func defaultKeys() (string, error)              { return "", errNotLinux }
func openOwn(string, string) (*os.Root, error)  { return nil, errNotLinux }
func tryLock(*os.File) (bool, error)            { return false, errNotLinux }
func unlockFile(*os.File) error                 { return errNotLinux }
func renameNew(*os.Root, string, string) error  { return errNotLinux }
func openNameless(*os.Root) (*os.File, error)   { return nil, errNotLinux }
func linkFile(*os.Root, *os.File, string) error { return errNotLinux }
func ownedAlone(*os.File, uint32, string) error { return errNotLinux }
func thisCaller() Caller                        { return Caller{UID: os.Getuid()} }
