package gate

// americanSSN leaves out what the SSA never gave out, and the two numbers that
// advertisements made famous. It has no check digit.
func americanSSN(n *personalNumber) Severity {
	area, group, serial := n.digits.num(0, 3), n.digits.num(3, 5), n.digits.num(5, 9)
	if area == 0 || area == 666 || area >= 900 || group == 0 || serial == 0 || n.digits.same() {
		return 0
	}
	switch string(n.digits) {
	case "078051120", "219099999":
		return 0
	}
	if !n.grouped() && !n.keyword("ssn", "social security") {
		return 0
	}
	return Medium
}

// brazilianCPF counts in its punctuated form, or beside its name.
func brazilianCPF(n *personalNumber) Severity {
	d := n.digits
	check := func(sum int) int { return sum * 10 % 11 % 10 }
	if d.same() ||
		check(d.weigh(10, 9, 8, 7, 6, 5, 4, 3, 2)) != int(d[9]-'0') ||
		check(d.weigh(11, 10, 9, 8, 7, 6, 5, 4, 3, 2)) != int(d[10]-'0') {
		return 0
	}
	if !n.grouped() && !n.keyword("cpf") {
		return 0
	}
	return High
}

// brazilianCNPJ is of a company, which may be one person; letters count from 17,
// as the numbers have them since July 2026 (IN RFB 2229/2024).
func brazilianCNPJ(n *personalNumber) Severity {
	d := n.digits
	check := func(weights ...int) int {
		sum := 0
		for i, w := range weights {
			sum += w * int(d[i]-'0')
		}
		if r := sum % 11; r > 1 {
			return 11 - r
		}
		return 0
	}
	if d.same() ||
		check(5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) != int(d[12]-'0') ||
		check(6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) != int(d[13]-'0') {
		return 0
	}
	if !n.grouped() && !n.keyword("cnpj") {
		return 0
	}
	return sure(true)
}

// indianAadhaar has a check digit of Verhoeff's, which one number in ten has.
func indianAadhaar(n *personalNumber) Severity {
	if n.digits[0] < '2' || !n.digits.verhoeff() || n.digits.same() {
		return 0
	}
	if n.keyword("aadhaar", "aadhar", "uidai", "आधार") {
		return High
	}
	if n.grouped() && n.shape[4] == ' ' && !n.neighbours() {
		return Medium
	}
	return 0
}

// neighbours says that groups of four go on before or after.
func (n *personalNumber) neighbours() bool {
	return n.p.at(n.start-1) == ' ' && n.group(n.start-5) && !wordly(n.p.at(n.start-6)) ||
		n.p.at(n.end) == ' ' && n.group(n.end+1) && !wordly(n.p.at(n.end+5))
}

// verhoeff multiplies in the dihedral group of order ten (Verhoeff, 1969).
func (d digits) verhoeff() bool {
	const permutation = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
	c := 0
	for i := range d {
		digit := int(d[len(d)-1-i] - '0')
		c = dihedral(c, int(permutation[(i%8)*10+digit]-'0'))
	}
	return c == 0
}

func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b)%5
	case b < 5:
		return 5 + (a-b)%5
	}
	return (a - b + 5) % 5
}

// chineseResident is the number of GB 11643: a place, a day of birth, and a check
// digit of ISO/IEC 7064, MOD 11-2.
func chineseResident(n *personalNumber) Severity {
	const checks = "10X98765432"
	d := n.digits
	if d[0] == '0' || d[0] > '8' || !born(d.num(6, 10)) || !plausible(d.num(10, 12), d.num(12, 14)) {
		return 0
	}
	if checks[d.weigh(7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11] != d[17] {
		return 0
	}
	return High
}

// koreanRRN has had no check digit since October 2020.
func koreanRRN(n *personalNumber) Severity {
	d := n.digits
	if !plausible(d.num(2, 4), d.num(4, 6)) || d[6] == '0' || d[6] == '9' {
		return 0
	}
	right := (11-d.weigh(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == int(d[12]-'0')
	named := n.keyword("rrn", "resident", "주민")
	switch {
	case right && (named || n.grouped()):
		return High
	case named && n.grouped():
		return Medium
	}
	return 0
}

// canadianSIN in groups with blanks looks as numbers do that have a blank at each
// thousand, so that these need its name.
func canadianSIN(n *personalNumber) Severity {
	if n.digits[0] == '0' || n.digits[0] == '8' || !n.digits.luhn() || n.digits.same() {
		return 0
	}
	if n.keyword("sin", "social insurance", "assurance sociale", "nas") {
		return High
	}
	if n.shape == "999-999-999" {
		return Medium
	}
	return 0
}

func australianTFN(n *personalNumber) Severity {
	if n.digits.weigh(1, 4, 3, 7, 5, 8, 6, 9, 10)%11 != 0 || n.digits.same() || !n.keyword("tfn", "tax file") {
		return 0
	}
	return High
}
