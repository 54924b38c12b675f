// Package image finds the files of container images: it gets them from a
// registry (through a Fetcher), from an OCI image layout, from a docker archive
// or from a plain directory, checks every digest, unpacks each layer once, and
// keeps them in a store that several kavach processes share.
//
// An image is other people's bytes: an archive leads nowhere but into a
// directory of the store, and all of it is bounded. docs/images.md says what is
// checked and what is dropped.
//
// What this package does not protect: whoever may write to the store, or to the
// directory of rootfs:DIR, decides what runs. A digest says that an image is the
// one that was named, not that it means well. Without a digest in a reference, the
// registry decides which image a tag is.
package image

import (
	"errors"
	"runtime"
	"time"

	"github.com/kavach-dev/kavach/internal/owndir"
)

// ErrNotFound: the store does not have the image, and could not get it.
var ErrNotFound = errors.New("image is not in the store")

// EnvDir is the environment variable that names the directory, absolute, of a
// Store without a Dir.
const EnvDir = owndir.EnvImages

// Store keeps images in a directory. Its methods may be called at once, by
// several processes. The zero Store is the user's own, and pulls nothing.
type Store struct {
	// Dir is made with mode 0700 where it is missing. It must belong to the user,
	// and nobody else may write to it. Empty: DefaultDir.
	Dir string

	// Fetcher gets what registries have. Nil: what is not in the store and names a
	// registry is an error.
	Fetcher Fetcher

	// Platform is what is chosen where an image is for several. Zero: linux, and
	// the architecture of this program.
	Platform Platform

	// Limits bound what an image may take.
	Limits Limits

	// Progress is told how far a pull is. It must not block, and is not called
	// twice at once for one pull. Nil: nobody is.
	Progress func(Progress)
}

// Progress is how far one part of a pull is.
type Progress struct {
	Stage       string // StageFetch or StageUnpack
	Done, Total int64  // bytes as they are transferred or stored; Total 0: not known yet
}

// The stages of a pull.
const (
	StageFetch  = "fetch"
	StageUnpack = "unpack"
)

// Limits bound what is taken from an image. Zero fields are the defaults.
type Limits struct {
	// Bytes bounds all layers together, uncompressed. Zero: DefaultBytes.
	Bytes int64

	// Files bounds the entries of all layers together. Zero: DefaultFiles.
	Files int64
}

// Defaults of Limits: several times what the largest images in common use have
// (machine learning images unpack to some 25 GiB and half a million files).
const (
	DefaultBytes = 64 << 30
	DefaultFiles = 4 << 20
)

// MaxLayers is how many layers an image may have: as many as Docker takes, and
// what an overlay of one page of options can name by descriptor.
const MaxLayers = 127

func (l Limits) orDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Files == 0 {
		l.Files = DefaultFiles
	}
	return l
}

// Platform is what an image is made for (OCI image-spec, image-index.md).
type Platform struct {
	OS           string
	Architecture string
	Variant      string // such as "v7" for arm; empty: what every machine of the architecture can run
}

func (p Platform) orDefault() Platform {
	if p.OS == "" {
		p.OS = "linux"
	}
	if p.Architecture == "" {
		p.Architecture = runtime.GOARCH
	}
	return p
}

// String is "os/architecture" or "os/architecture/variant".
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Entry is an image of the store.
type Entry struct {
	Ref    string    `json:"ref"`    // canonical, such as docker.io/library/busybox:latest
	Digest string    `json:"digest"` // of the manifest; of the configuration for a docker-archive
	Layers int       `json:"layers"`
	Bytes  int64     `json:"bytes"` // of the layers, uncompressed; images may share them
	Pulled time.Time `json:"pulled"`
}

// Freed is what Prune and Remove gave back.
type Freed struct {
	Layers int   `json:"layers"`
	Bytes  int64 `json:"bytes"`  // of the layers, as counted when they were unpacked
	InUse  int   `json:"in_use"` // layers that no image names, kept for a running sandbox
}
