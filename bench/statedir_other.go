//go:build !linux

package main

import "errors"

func stateDir() (string, error) { return "", errors.ErrUnsupported }
