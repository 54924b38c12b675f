package backend

// Image is a root directory that came from a container image: directories that
// are laid over each other, and what the image says of the commands that it is
// for. It is data; the files belong to whoever opened it, until Close.
type Image struct {
	// Ref is the reference as the caller wrote it.
	Ref string

	// Digest names the manifest that everything was checked against, such as
	// "sha256:…". Empty, for a plain directory: nothing was checked.
	Digest string

	// Layers are absolute paths of directories, the lowest first, in the format
	// of overlayfs with userxattr (Documentation/filesystems/overlayfs.rst): a
	// character device 0:0 is a deletion, user.overlay.opaque "y" a directory that
	// hides what is below it. Files are owned as in the image where root unpacked
	// it, else by the user who did. Nothing ever writes to them.
	Layers []string

	// Config is what the image says of its commands.
	Config ImageConfig

	// Release lets go of the layers, so that they may be removed. It is called
	// once, by whoever opened the image. Nil: nothing is to be done.
	Release func() error
}

// ImageConfig is the part of an image's configuration that Kavach honours
// (OCI image-spec, config.md).
type ImageConfig struct {
	// UID and GID are what the image's user comes to, by the image's own
	// /etc/passwd and /etc/group. Zero: root, as seen inside.
	UID, GID int

	// UserErr says why the image's user comes to nothing. It matters where the caller
	// names none. Nil: it does.
	UserErr error

	// Env is "KEY=value"; Dir is the working directory, "" for "/".
	Env []string
	Dir string

	// Entrypoint and Cmd are what is run where the caller names no command, and
	// Entrypoint alone stands before what it names.
	Entrypoint, Cmd []string
}

// Command is what the image makes of a caller's arguments: Entrypoint, and then
// args, or Cmd where there are none. It may be empty.
func (c *ImageConfig) Command(args []string) []string {
	if len(args) == 0 {
		args = c.Cmd
	}
	return append(append([]string(nil), c.Entrypoint...), args...)
}
