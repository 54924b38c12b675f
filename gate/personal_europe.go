package gate

import "strings"

// dniLetters: the remainder by 23 chooses one (Real Decreto 1553/2005; BOE).
const dniLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

func spanishDNI(n *personalNumber) Severity {
	if n.digits[8] != dniLetters[n.digits.num(0, 8)%23] || n.digits[:8].same() {
		return 0
	}
	return sure(n.shape == "99.999.999-A" || n.keyword("dni", "nif", "documento", "identidad"))
}

func spanishNIE(n *personalNumber) Severity {
	first := strings.IndexByte("XYZ", n.digits[0])
	if first < 0 || n.digits[8] != dniLetters[(first*1e7+n.digits.num(1, 8))%23] {
		return 0
	}
	return High
}

// italianCF is a codice fiscale (D.M. 23 December 1976), also with letters in the
// place of digits, as those have who share all the rest.
func italianCF(n *personalNumber) Severity {
	const (
		odd    = "\x01\x00\x05\x07\x09\x0d\x0f\x11\x13\x15\x02\x04\x12\x14\x0b\x03\x06\x08\x0c\x0e\x10\x0a\x16\x19\x18\x17"
		months = "ABCDEHLMPRST"
		stead  = "LMNPQRSTUV" // of 0 to 9
	)
	sum := 0
	var day [2]int
	for i, c := range n.digits[:15] {
		v := int(c - 'A')
		if numeral(c) {
			v = int(c - '0')
		}
		switch i {
		case 6, 7, 9, 10, 12, 13, 14:
			if !numeral(c) && strings.IndexByte(stead, c) < 0 {
				return 0
			}
		}
		if i == 9 || i == 10 {
			if day[i-9] = v; !numeral(c) {
				day[i-9] = strings.IndexByte(stead, c)
			}
		}
		if i%2 == 0 {
			v = int(odd[v])
		}
		sum += v
	}
	const female = 40
	month := strings.IndexByte(months, n.digits[8]) + 1
	if d := day[0]*10 + day[1]; !plausible(month, d) && !plausible(month, d-female) {
		return 0
	}
	if int(n.digits[15]-'A') != sum%26 {
		return 0
	}
	return High
}

// frenchNIR is the number of the social insurance (INSEE): sex, year and month of
// birth, place, and a key of two digits. Of Corsica the place has a letter.
func frenchNIR(n *personalNumber) Severity {
	d := n.digits
	body := d[:13]
	less := 0
	if capital(d[6]) {
		var room [13]byte
		body = append(room[:0], body...)
		switch {
		case d[5] == '2' && d[6] == 'A':
			less = 1e6
		case d[5] == '2' && d[6] == 'B':
			less = 2e6
		default:
			return 0
		}
		body[6] = '0'
	}
	for _, c := range d[7:] {
		if !numeral(c) {
			return 0
		}
	}
	month, sex := d.num(3, 5), d[0]
	if sex != '1' && sex != '2' || month < 1 || month > 12 && month < 20 || month > 42 && month < 50 {
		return 0
	}
	if 97-(body.num(0, 13)-less)%97 != d.num(13, 15) || body[5:].same() {
		return 0
	}
	return sure(month <= 12 || n.grouped())
}

// germanSteuerID is the number of § 139b AO: one of its first ten digits is there
// twice or three times, the others once, and the last is of ISO/IEC 7064, MOD 11,10.
func germanSteuerID(n *personalNumber) Severity {
	var count [10]int
	product := 10
	for _, c := range n.digits[:10] {
		count[c-'0']++
		sum := (int(c-'0') + product) % 10
		if sum == 0 {
			sum = 10
		}
		product = sum * 2 % 11
	}
	repeated := 0
	for _, c := range count {
		if c > 3 {
			return 0
		}
		if c > 1 {
			repeated++
		}
	}
	if repeated != 1 || n.digits[0] == '0' || (11-product)%10 != int(n.digits[10]-'0') {
		return 0
	}
	if n.keyword("steuer", "idnr", "tax id", "tin", "identifikationsnummer") {
		return High
	}
	if n.grouped() {
		return Medium
	}
	return 0
}

// dutchBSN passes a test that one number in eleven does, so it needs its name.
func dutchBSN(n *personalNumber) Severity {
	if n.digits.weigh(9, 8, 7, 6, 5, 4, 3, 2, -1)%11 != 0 || n.digits.same() ||
		!n.keyword("bsn", "burgerservice", "sofinummer", "sofi-nummer") {
		return 0
	}
	return High
}

// belgianNRN is the number of the Rijksregister: who was born since 2000 has a
// key that counts a 2 before it.
func belgianNRN(n *personalNumber) Severity {
	body, key := n.digits.num(0, 9), n.digits.num(9, 11)
	old, young := 97-body%97 == key, 97-(body+2e9)%97 == key
	if !old && !young || !plausible(n.digits.num(2, 4), n.digits.num(4, 6)) {
		return 0
	}
	return sure(n.grouped() || n.keyword("rijksregister", "registre national", "nationaal", "national", "insz", "niss"))
}

// polishPESEL has the century in its month.
func polishPESEL(n *personalNumber) Severity {
	d := n.digits
	if (d.weigh(1, 3, 7, 9, 1, 3, 7, 9, 1, 3)+int(d[10]-'0'))%10 != 0 {
		return 0
	}
	month := d.num(2, 4)
	century := month / 20 // 0: of 1900, 1: of 2000
	if century > 1 || !plausible(month%20, d.num(4, 6)) {
		return 0
	}
	return sure(n.keyword("pesel"))
}

func portugueseNIF(n *personalNumber) Severity {
	check := 11 - n.digits.weigh(9, 8, 7, 6, 5, 4, 3, 2)%11
	if check > 9 {
		check = 0
	}
	if int(n.digits[8]-'0') != check || n.digits.same() || !n.keyword("nif", "contribuinte", "fiscal") {
		return 0
	}
	return High
}

// britishNINO has no check digit, and prefixes that were never given (HMRC, NIM39110).
func britishNINO(n *personalNumber) Severity {
	a, b := n.digits[0], n.digits[1]
	if strings.IndexByte("DFIQUV", a) >= 0 || strings.IndexByte("DFIOQUV", b) >= 0 || n.digits[8] > 'D' {
		return 0
	}
	switch string(n.digits[:2]) {
	case "BG", "GB", "NK", "KN", "TN", "NT", "ZZ":
		return 0
	}
	if n.grouped() || n.keyword("nino", "national insurance", "insurance", "ni number") {
		return Medium
	}
	return Low
}
