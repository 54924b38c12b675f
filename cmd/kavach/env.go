package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// environment is what --env-file and --env add to the command's environment.
// The flags come last, and so win.
func (f *runFlags) environment() ([]string, error) {
	var env []string
	for _, path := range f.envFiles {
		more, err := readEnvFile(path)
		if err != nil {
			return nil, err
		}
		env = append(env, more...)
	}
	for _, kv := range f.env {
		key, _, given := strings.Cut(kv, "=")
		if err := checkEnv(kv); err != nil {
			return nil, usagef("write K=V, or K to take its value from kavach's environment", "--env %q: %v", key, err)
		}
		if !given {
			value, set := os.LookupEnv(key)
			if !set {
				return nil, usagef("set it, or write --env "+key+"=VALUE", "--env %s: it is not set in kavach's environment", key)
			}
			kv = key + "=" + value
		}
		env = append(env, kv)
	}
	return env, nil
}

func checkEnv(kv string) error {
	key, _, _ := strings.Cut(kv, "=")
	switch {
	case key == "":
		return errors.New("the name of the variable is empty")
	case strings.ContainsRune(kv, 0):
		return errors.New("it holds a NUL byte")
	}
	return nil
}

// readEnvFile reads a file as docker run --env-file does: a variable a line;
// blank lines and lines that begin with # do not count; quotes have no meaning;
// a name alone takes its value from the environment, and is skipped where it is
// not set there.
func readEnvFile(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("check the path", "--env-file %s: %v", path, reason(err))
	}
	var env []string
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeftFunc(lines.Text(), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		kv, err := envLine(line)
		if err != nil {
			return nil, usagef("write a variable a line, as K=V", "--env-file %s:%d: %v", path, n, err)
		}
		if kv != "" {
			env = append(env, kv)
		}
	}
	return env, nil
}

func envLine(line string) (string, error) {
	key, _, given := strings.Cut(line, "=")
	if !given {
		key = strings.TrimRightFunc(key, unicode.IsSpace)
	}
	switch {
	case !utf8.ValidString(line):
		return "", errors.New("it is not valid UTF-8")
	case strings.ContainsFunc(key, unicode.IsSpace):
		return "", fmt.Errorf("the name %q has white space in it", key)
	}
	if err := checkEnv(line); err != nil {
		return "", err
	}
	if given {
		return line, nil
	}
	value, set := os.LookupEnv(key)
	if !set {
		return "", nil
	}
	return key + "=" + value, nil
}
