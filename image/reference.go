package image

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Kind is where a reference leads.
type Kind string

// The kinds of references. All but KindRegistry are also the prefix.
const (
	KindRegistry      Kind = "registry"
	KindOCILayout     Kind = "oci-layout"
	KindDockerArchive Kind = "docker-archive"
	KindRootfs        Kind = "rootfs"
)

// Reference names an image.
type Reference struct {
	Kind Kind

	// Registry is HOST or HOST:PORT, and Repository the rest of the name, such as
	// "docker.io" and "library/busybox". Empty but for KindRegistry.
	Registry   string
	Repository string

	// Tag is "latest" where a registry's reference has neither tag nor digest.
	// Of an OCI layout it may be empty: the layout has one image then. Of a docker
	// archive it is NAME, such as "busybox:latest", or empty.
	Tag string

	// Digest pins what is taken. Empty: whatever Tag leads to.
	Digest Digest

	// Path is absolute and clean. Empty for KindRegistry.
	Path string
}

// ReferenceError says what is wrong with a reference, and which form is right.
type ReferenceError struct {
	Ref    string
	Reason string
	Form   string
}

func (e *ReferenceError) Error() string {
	return fmt.Sprintf("image %q: %s; write it as %s", e.Ref, e.Reason, e.Form)
}

// What is written where.
const (
	formRegistry = "[HOST[:PORT]/]NAME[:TAG][@sha256:HEX]"
	formLayout   = "oci-layout:DIR[:TAG] or oci-layout:DIR@sha256:HEX"
	formArchive  = "docker-archive:FILE[:NAME:TAG]"
	formRootfs   = "rootfs:DIR"
)

// maxReference bounds a reference: a path (PATH_MAX), a name, a digest of 512
// bits, and what is between them.
const maxReference = 4096 + 512

// ParseReference reads a reference to a registry, oci-layout:DIR,
// docker-archive:FILE or rootfs:DIR. Names of registries are completed as Docker
// does: busybox is docker.io/library/busybox:latest.
func ParseReference(s string) (Reference, error) {
	bad := func(form, reason string, args ...any) (Reference, error) {
		return Reference{}, &ReferenceError{Ref: s, Reason: fmt.Sprintf(reason, args...), Form: form}
	}
	switch {
	case s == "":
		return bad(formRegistry, "it is empty")
	case len(s) > maxReference:
		return Reference{}, &ReferenceError{Ref: s[:64] + "…", Reason: fmt.Sprintf("it is longer than %d bytes", maxReference), Form: formRegistry}
	case strings.ContainsRune(s, 0):
		return bad(formRegistry, "it has a zero byte in it")
	}
	kind, rest, found := strings.Cut(s, ":")
	if found {
		switch Kind(kind) {
		case KindOCILayout:
			return parseLayout(rest, bad)
		case KindDockerArchive:
			return parseArchive(rest, bad)
		case KindRootfs:
			return parseRootfs(rest, bad)
		case "docker", "docker-daemon", "containers-storage", "dir", "oci", "oci-archive", "http", "https":
			if strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, ".") {
				return bad(strings.Join([]string{formRegistry, formLayout, formArchive, formRootfs}, ", "), "%q is none of the transports that Kavach has", kind)
			}
		}
	}
	return parseRegistry(s, bad)
}

type badFunc func(form, reason string, args ...any) (Reference, error)

// parseLayout reads DIR[:TAG] or DIR@DIGEST. A tag has no slash, so a colon in
// the path is none where a slash comes after it.
func parseLayout(rest string, bad badFunc) (Reference, error) {
	ref := Reference{Kind: KindOCILayout}
	path, digest, pinned := cutDigest(rest)
	if pinned {
		var err error
		if ref.Digest, err = ParseDigest(digest); err != nil {
			return bad(formLayout, "%v", err)
		}
	} else if i := strings.LastIndexByte(path, ':'); i >= 0 && !strings.Contains(path[i:], "/") {
		path, ref.Tag = path[:i], path[i+1:]
		if !validRefName(ref.Tag) {
			return bad(formLayout, "%q is no tag", ref.Tag)
		}
	}
	named, err := withPath(ref, path, formLayout, bad)
	if err == nil && ref.Tag == "" && !pinned && strings.Contains(filepath.Base(named.Path), ":") {
		return bad(formLayout, "what is behind the colon in %q would be taken for a tag: name one, or rename the directory", filepath.Base(named.Path))
	}
	return named, err
}

// parseArchive reads FILE[:NAME[:TAG]]: the file ends at the first colon, as the
// name has colons and slashes of its own.
func parseArchive(rest string, bad badFunc) (Reference, error) {
	ref := Reference{Kind: KindDockerArchive}
	path, name, found := strings.Cut(rest, ":")
	if found {
		named, err := ParseReference(name)
		if err != nil || named.Kind != KindRegistry || named.Digest != "" {
			return bad(formArchive, "%q is not the name of an image (a file whose path has a colon in it has to be renamed)", name)
		}
		ref.Tag = named.String()
	}
	return withPath(ref, path, formArchive, bad)
}

func parseRootfs(rest string, bad badFunc) (Reference, error) {
	return withPath(Reference{Kind: KindRootfs}, rest, formRootfs, bad)
}

func withPath(ref Reference, path, form string, bad badFunc) (Reference, error) {
	if path == "" {
		return bad(form, "it names no path")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return bad(form, "where is %q? %v", path, err)
	}
	ref.Path = abs
	return ref, nil
}

// parseRegistry reads NAME[:TAG][@DIGEST] (the grammar of
// github.com/distribution/reference, without its regular expressions).
func parseRegistry(s string, bad badFunc) (Reference, error) {
	ref := Reference{Kind: KindRegistry}
	name, digest, pinned := cutDigest(s)
	if pinned {
		var err error
		if ref.Digest, err = ParseDigest(digest); err != nil {
			return bad(formRegistry, "%v", err)
		}
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.Contains(name[i:], "/") {
		name, ref.Tag = name[:i], name[i+1:]
		if !validTag(ref.Tag) {
			return bad(formRegistry, "%q is no tag: a tag is up to 128 letters, digits, '_', '.' and '-', and begins with none of the last two", ref.Tag)
		}
	} else if !pinned {
		ref.Tag = "latest"
	}
	if name == "" {
		return bad(formRegistry, "it has no name")
	}
	host, repo, found := strings.Cut(name, "/")
	// As Docker does: the first part is a host where it could not be part of a
	// name, or is localhost.
	if !found || (!strings.ContainsAny(host, ".:") && host != "localhost" && strings.ToLower(host) == host) {
		host, repo = "docker.io", name
	}
	if host == "index.docker.io" {
		host = "docker.io"
	}
	if host == "docker.io" && !strings.Contains(repo, "/") {
		repo = "library/" + repo
	}
	if !validHost(host) {
		return bad(formRegistry, "%q is no host, or host and port", host)
	}
	if why := badRepository(repo); why != "" {
		return bad(formRegistry, "%s", why)
	}
	ref.Registry, ref.Repository = host, repo
	return ref, nil
}

func cutDigest(s string) (name, digest string, found bool) {
	i := strings.LastIndexByte(s, '@')
	// A directory may have an @ in its name: a digest has a colon, and no slash.
	if i < 0 || strings.Contains(s[i:], "/") || !strings.Contains(s[i:], ":") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Name is HOST/REPOSITORY of a registry's reference, else the path.
func (r Reference) Name() string {
	if r.Kind == KindRegistry {
		return r.Registry + "/" + r.Repository
	}
	return r.Path
}

// String is the reference in full, such as docker.io/library/busybox:latest. It
// parses to the same reference.
func (r Reference) String() string {
	s := r.Name()
	if r.Kind != KindRegistry {
		s = string(r.Kind) + ":" + s
	}
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}
