package main

// modules are the kernel modules that the guest needs, below /lib/modules/*/kernel
// and in the order in which they are loaded.
var modules = []string{
	"drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko",
	"drivers/virtio/virtio_mmio.ko", "drivers/block/virtio_blk.ko",
	"fs/overlayfs/overlay.ko",
}

// Rows of the conformance table, for -test.run.
const (
	limitRows = "TestConformance/^(more_|memory:|fill_|use_up_|a_command_that_|the_cgroup_|a_cgroup_)"
	fileRows  = "TestConformance/^(read_a_file_of_the_host|remount_|overwrite_)"
)

// table is what is run in the guest, one line each. There are busybox and the
// programs of this module, and no Go, Python, git, bash or compiler. The processor
// is emulated: a row of the conformance table takes one to five seconds.
var table = []run{
	{Name: "files, as root", Package: "backend/process", Run: fileRows, As: asRoot},
	{Name: "limits, as root", Package: "backend/process", Run: limitRows, As: asRoot},
	{Name: "limits, as an ordinary user", Package: "backend/process", Run: limitRows, As: asUser},
	{Name: "limits, delegated", Package: "backend/process", Run: limitRows, As: asDelegated},
}
