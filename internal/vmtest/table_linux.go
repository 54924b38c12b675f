package main

// modules are the kernel modules that the guest needs, below /lib/modules/*/kernel
// and in the order in which they are loaded.
var modules = []string{
	"drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko",
	"drivers/virtio/virtio_mmio.ko", "drivers/block/virtio_blk.ko",
	"fs/overlayfs/overlay.ko",
}

// Rows of the conformance table, for -test.run, and other tests of limits.
const (
	fileRows      = "TestConformance/^(read_a_file_of_the_host_by_its_path|remount_the_root|overwrite_the_guest)"
	boundRows     = "TestConformance/^(more_processes_than_allowed|memory:_(anonymous|children|tmpfs)|a_command_that_was_frozen|the_cgroup_)"
	landlockRows  = "TestConformance/^(without_the_right|.*_of_a_mount_without_|list_a_mount_)"
	landlockTests = "^Test(EveryLandlock|RightsThatCannotHold|NamespacesAreUsedWhereTheyAre|WithoutNamespaces)$"
	copyTests     = "^TestImage(CopyEqualsOverlay|RootCopied|CopyIsBounded|TooLargeToCopy)$"
	limitTests    = "^Test(OOM|Swap|Pause|CgroupRoot|KillNine$|DestroyPaused|GuestKilled$)"
)

// table is what is run in the guest, one line each. There are busybox and the
// programs of this module, and no Go, Python, git, bash or compiler. The processor
// is emulated: a row of the conformance table takes up to five seconds.
var table = []run{
	{Name: "cgroup, as root", Package: "internal/cgroup", As: asRoot},
	{Name: "files, as root", Package: "backend/process", Run: fileRows, As: asRoot},
	{Name: "limits, as root", Package: "backend/process", Run: limitTests, As: asRoot},
	{Name: "limits, delegated", Package: "backend/process", Run: limitTests, As: asDelegated},
	{Name: "limits, as an ordinary user", Package: "backend/process", Run: limitTests, As: asUser},
	{Name: "bounds, as root", Package: "backend/process", Run: boundRows, As: asRoot},
	{Name: "bounds, delegated", Package: "backend/process", Run: boundRows, As: asDelegated},
	{Name: "copies of images, as root", Package: "backend/process", Run: copyTests, As: asRoot},
	{Name: "copies of images, as an ordinary user", Package: "backend/process", Run: copyTests, As: asUser},
	{Name: "Landlock's rights, as root", Package: "guest", Run: "^Test(Rights|IoctlDev)$", As: asRoot},
	{Name: "Landlock's rights, as an ordinary user", Package: "guest", Run: "^Test(Rights|IoctlDev)$", As: asUser},
	{Name: "Landlock and without namespaces, as root", Package: "backend/process", Run: landlockTests, As: asRoot},
	{Name: "Landlock and without namespaces, as an ordinary user", Package: "backend/process", Run: landlockTests, As: asUser},
	{Name: "Landlock's rows, as root", Package: "backend/process", Run: landlockRows, As: asRoot},
}
