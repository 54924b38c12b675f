package main

// registerRuntime makes the flag that names an OCI runtime, as docker's does.
func registerRuntime(fs *flags, to *string) {
	fs.Text(to, "runtime", "", "PATH", "the runtime that backend oci or gvisor makes containers with, a path or a name (default: the first that works)", nil)
}

// checkRuntime refuses a runtime for a backend that uses none, or for one that is
// yet to be chosen: which of them it is for, its name does not say.
func (f *runFlags) checkRuntime(name string) error {
	if f.runtime == "" || name == "oci" || name == "gvisor" {
		return nil
	}
	return usagef("add --backend oci, or --backend gvisor", "--runtime %s is for a container, and the backend is %s", f.runtime, name)
}
