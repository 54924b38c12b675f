package gate

import "strings"

// swedishNumber is a personnummer, or a samordningsnummer, whose day is 60 more.
func swedishNumber(n *personalNumber) Severity {
	d := n.digits
	if len(d) == 12 {
		if !born(d.num(0, 4)) {
			return 0
		}
		d = d[2:]
	}
	const coordination = 60
	month, day := d.num(2, 4), d.num(4, 6)
	if !plausible(month, day) && !plausible(month, day-coordination) || !d.luhn() {
		return 0
	}
	return sure(n.grouped() || n.keyword("personnummer", "personnr", "samordning"))
}

// finnishHETU has a sign for the century and a check sign of its own (Act
// 661/2009; the newer signs are of 2023).
func finnishHETU(n *personalNumber) Severity {
	const (
		centuries = "YXWVUABCDEF"
		checks    = "0123456789ABCDEFHJKLMNPRSTUVWXY"
	)
	d := n.digits
	if len(d) == 11 {
		if strings.IndexByte(centuries, d[6]) < 0 {
			return 0
		}
		d = append(append(make(digits, 0, 10), d[:6]...), d[7:]...)
	}
	if !plausible(d.num(2, 4), d.num(0, 2)) || d.num(6, 9) < 2 {
		return 0
	}
	if checks[(d.num(0, 6)*1000+d.num(6, 9))%31] != d[9] {
		return 0
	}
	return High
}

// norwegianNumber is a fødselsnummer, or a D-number, whose day is 40 more.
func norwegianNumber(n *personalNumber) Severity {
	const dNumber = 40
	d := n.digits
	month, day := d.num(2, 4), d.num(0, 2)
	if !plausible(month, day) && !plausible(month, day-dNumber) {
		return 0
	}
	first := 11 - d.weigh(3, 7, 6, 1, 8, 9, 4, 5, 2)%11
	second := 11 - d.weigh(5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11
	if first%11 != int(d[9]-'0') || second%11 != int(d[10]-'0') || d[:9].same() {
		return 0
	}
	return High
}
