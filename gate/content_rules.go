package gate

// contentRules are all that is reported about files and archives as a whole.
func contentRules() []Rule {
	const (
		scanner = "content"
		appnote = "PKWARE APPNOTE.TXT 6.3.10"
	)
	return []Rule{
		{"executable", scanner, Low, "A program: it runs outside of the sandbox with the rights of whoever starts it; info for scripts", "the first bytes of ELF, PE, Mach-O, WebAssembly, Java; #! and a mode that allows to run it", ""},
		{"setuid", scanner, High, "A file that gives its owner's rights to whoever runs it", "a mode with set-user-ID or set-group-ID", "chmod(2)"},
		{"text-bidi", scanner, Low, "Turns the order of text around, so that a reader sees another program than runs", "U+202A to U+202E, U+2066 to U+2069", "CVE-2021-42574"},
		{"archive-traversal", scanner, High, "A member of an archive that would be written, or links, outside of where it is unpacked; medium for symbolic links to absolute paths", "names with .., / or a drive at their beginning, links that lead out, members below links", "CVE-2018-1002200, CVE-2007-4559"},
		{"archive-device", scanner, Medium, "A device, or a pipe, in an archive", "the type of a tar member", "POSIX.1-2017, pax"},
		{"archive-bomb", scanner, Medium, "An archive that becomes more than a thousand times as long, or whose members lie over each other", "stated sizes, and sums of them", "https://www.bamsoftware.com/hacks/zipbomb/"},
		{"archive-mismatch", scanner, Medium, "An archive that programs read differently: what one has checked, another unpacks otherwise", "zip members and directory that differ, tar headers with wrong sums or of no use", appnote},
		{"archive-encrypted", scanner, Info, "An archive with encrypted members, which nobody can look into", "a flag of a zip member", appnote},
		{"archive-opaque", scanner, Info, "An archive of a kind that is not looked into", "the first bytes of 7z, rar, xz, bzip2, zstd, lz4 and cab", ""},
		{"archive-polyglot", scanner, Info, "A zip archive behind something else, such as a program that unpacks itself", "the directory of a zip archive at the end of what begins otherwise", appnote},
	}
}
