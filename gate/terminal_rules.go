package gate

// terminalRules are all kinds of sequences that are reported, with the worst that
// each may be.
func terminalRules() []Rule {
	const (
		scanner = "terminal"
		ctlseqs = "https://invisible-island.net/xterm/ctlseqs/ctlseqs.html"
	)
	return []Rule{
		{"terminal-clipboard", scanner, High, "Writes to the clipboard, or reads it: the user pastes what a program chose", "OSC 52, OSC 5522, OSC 1337;Copy", ctlseqs},
		{"terminal-link", scanner, Medium, "A link whose text shows another host than it leads to, or that opens something other than a page; info where the text is words", "OSC 8", "https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda"},
		{"terminal-title", scanner, High, "Makes the terminal type the title of its window, which a program may have set; low where it only sets it", "CSI 20 t, CSI 21 t; low: OSC 0 to 3, CSI 22 t, CSI 23 t, ESC k", "CVE-2003-0063"},
		{"terminal-query", scanner, Medium, "Makes the terminal type an answer, which the shell takes for what the user typed; low on a terminal of the sandbox's own", "DSR, DA, DECRQSS, DECRQM, XTGETTCAP, OSC with ?, ENQ", ctlseqs},
		{"terminal-colour", scanner, Low, "Changes the colours or the font, also for the next program", "OSC 4 to 6, 10 to 19, 50, 104 to 119", ctlseqs},
		{"terminal-notify", scanner, Low, "Shows a notification outside of the terminal; info where it is progress", "OSC 9, OSC 99, OSC 777", ctlseqs},
		{"terminal-keys", scanner, High, "Changes what keys type; low, or info on a terminal of the sandbox's own, where it is a mode of keys or the mouse", "DECUDK, ANSI.SYS; modes such as ?1, ?1000, ?2004", ctlseqs},
		{"terminal-file", scanner, High, "Makes the terminal send or read a file; medium where it stores one, info where it is a picture", "OSC 1337, APC G with t=f or t=t; sixel", "https://sw.kovidgoyal.net/kitty/graphics-protocol/"},
		{"terminal-cursor", scanner, Medium, "Paints over what was shown before, so that the user sees what did not happen; low where it only goes up, info on a terminal of the sandbox's own", "cursor positions, erasing, other screens, scroll regions, reset, hidden text", ctlseqs},
		{"terminal-window", scanner, Low, "Moves, hides or resizes the window", "CSI 1 t to CSI 10 t, CSI 24 t and more", ctlseqs},
		{"terminal-print", scanner, Medium, "Sends what is shown to a printer", "CSI i", ctlseqs},
		{"terminal-command", scanner, High, "Makes the terminal, or the editor that it runs in, take commands", "DCS 1000 p, DCS 2000 p, OSC 51, OSC 5113", "CVE-2024-38396"},
		{"terminal-unterminated", scanner, Medium, "A sequence that does not end: the terminal hides what comes after it", "no end within 4096 bytes, or none at all", "ECMA-48, 5.6"},
	}
}
