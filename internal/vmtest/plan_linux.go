package main

// plan is what init finds in /plan.json.
type plan struct {
	Modules []string `json:"modules"` // files, in the order in which they are loaded
	Runs    []run    `json:"runs"`
}

// run is one run of a test binary.
type run struct {
	// Name is what the console shows; -only selects by it.
	Name string `json:"name"`

	// Package is the directory of the tests in this module; "." is the root.
	Package string `json:"package"`

	// Run and Skip are -test.run and -test.skip. Empty: all, and none.
	Run  string `json:"run,omitempty"`
	Skip string `json:"skip,omitempty"`

	// As is who runs it.
	As user `json:"as"`
}

// user is who runs tests.
type user string

const (
	// asRoot has everything.
	asRoot user = "root"
	// asUser is uid 65534 without anything.
	asUser user = "user"
	// asDelegated is uid 65534 in a cgroup that was delegated to it, as systemd
	// does with Delegate=yes.
	asDelegated user = "delegated"
)
