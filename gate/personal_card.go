package gate

import "strings"

// paymentCard knows the numbers of cards by their issuers and ISO/IEC 7812.
// Lengths that issuers seldom use count only beside a word that says so: one in
// ten numbers has the right check digit.
func paymentCard(n *personalNumber) Severity {
	usual, known := n.digits.issuer()
	if !known || !n.digits.luhn() || n.digits.same() {
		return 0
	}
	if n.grouped() && n.dumped() {
		return 0
	}
	if amex := len(n.digits) == 15; n.grouped() && amex != strings.HasSuffix(n.shape, "99999") {
		return 0
	}
	if usual || n.keyword("card", "visa", "maestro", "pan", "credit", "debit", "carte", "karte", "tarjeta") {
		return High
	}
	return 0
}

// issuer says whether there is one whose numbers begin so and are so long, and
// whether most of its numbers are (ISO/IEC 7812-1; the ranges that the schemes
// publish).
func (d digits) issuer() (usual, known bool) {
	two, three, four, size := d.num(0, 2), d.num(0, 3), d.num(0, 4), len(d)
	switch {
	case d[0] == '4': // Visa
		return size == 16, size == 13 || size == 16 || size == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return size == 16, size == 16
	case two == 34, two == 37: // American Express
		return size == 15, size == 15
	case four == 6011, two == 65, three >= 644 && three <= 649: // Discover
		return size == 16, size >= 16
	case two == 62, two == 81: // UnionPay
		return size == 16, size >= 16
	case four >= 3528 && four <= 3589: // JCB
		return size == 16, size >= 16
	case two == 36, two == 38, two == 39, three >= 300 && three <= 305: // Diners Club
		return size == 14, size >= 14
	case four >= 2200 && four <= 2204: // Mir
		return size == 16, size >= 16
	case two == 50, two >= 56 && two <= 58, two == 60, two == 63, two == 67: // Maestro, RuPay
		return false, true
	}
	return false, false
}

// dumped says that the groups are a part of more groups of four, as in the dump
// of a file or a table of numbers. One more group of digits may be a date.
func (n *personalNumber) dumped() bool {
	sep := n.p.at(n.start + 4)
	more := 0
	for i := n.start - 5; i >= n.start-10 && n.p.at(i+4) == sep; i -= 5 {
		if !n.group(i) || wordly(n.p.at(i-1)) {
			break
		}
		more++
	}
	for i := n.end; i <= n.end+5 && n.p.at(i) == sep; i += 5 {
		if !n.group(i+1) || wordly(n.p.at(i+5)) {
			break
		}
		more++
	}
	return more > 1
}

// group says that four hexadecimal digits are there.
func (n *personalNumber) group(i int) bool {
	for k := range 4 {
		if personalClass[n.p.at(i+k)]&asHex == 0 {
			return false
		}
	}
	return true
}

// ibanLengths are of the IBAN registry (ISO 13616), release 99.
const ibanLengths = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27" +
	"DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26" +
	"IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15" +
	"OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26" +
	"UA29VA22VG24XK20YE30"

func ibanLength(country string) int {
	for s := ibanLengths; s != ""; s = s[4:] {
		if s[:2] == country {
			return int(s[2]-'0')*10 + int(s[3]-'0')
		}
	}
	return 0
}

// account looks for an IBAN, written in one word or in groups of four.
func (s *personalSearch) account(p *peek, start, length int) {
	if length < 4 || !capital(p.at(start)) || !capital(p.at(start+1)) || !numeral(p.at(start+2)) || !numeral(p.at(start+3)) {
		return
	}
	want := ibanLength(string(p.b[start : start+2]))
	if want == 0 || length != 4 && length != want {
		return
	}
	var room [34]byte
	d := digits(room[:0])
	i := start
	for ; len(d) < want; i++ {
		c := p.at(i)
		if length == 4 && len(d) > 0 && len(d)%4 == 0 && c == ' ' && p.at(i-1) != ' ' {
			continue
		}
		if !numeral(c) && !capital(c) || length == 4 && len(d) == 4 && p.at(i-1) != ' ' {
			return
		}
		d = append(d, c)
	}
	var turned [34]byte
	t := digits(append(append(turned[:0], d[4:]...), d[:4]...))
	if p.stands(start, i) && t.mod(97) == 1 && !d[4:].same() {
		s.add("iban", High, start, i)
	}
}
