package gate

// personalForm is how a kind of number is written, and the check that tells it
// from other numbers.
//
// In a shape, 9 is a digit, A a capital letter, N one of both, X a digit or X, and
// everything else itself.
type personalForm struct {
	rule  string
	shape string
	check func(*personalNumber) Severity
}

// personalNumber is what has a form's shape.
type personalNumber struct {
	p          *peek
	start, end int
	shape      string
	digits     digits // without what is between the groups
	room       [24]byte
}

// digits are characters of a number, or of a code with letters.
type digits []byte

// keyword says that one of the words stands before the number.
func (n *personalNumber) keyword(words ...string) bool { return n.p.near(n.start, words...) }

// grouped says that the number is written in groups.
func (n *personalNumber) grouped() bool { return n.end-n.start != len(n.digits) }

// number looks at a word that is only digits, and at what it begins.
func (s *personalSearch) number(p *peek, start, length int) {
	if length == 2 && p.at(start-1) == ' ' && capital(p.at(start-2)) && capital(p.at(start-3)) {
		s.try(p, start-3, &spacedNINO)
	}
	if length == 7 && p.at(start-1) == '-' && capital(p.at(start-2)) {
		s.try(p, start-2, &dashedNIE)
	}
	if length < len(numberForms) {
		s.forms(p, start, length, numberForms[length])
	}
	if length <= 3 && p.at(start+length) == '.' && s.addressV4(p, start) {
		return
	}
	s.national(p, start, length)
}

// code looks at a word of letters and digits, and at what it begins.
func (s *personalSearch) code(p *peek, start, length int) {
	s.account(p, start, length)
	if length < len(codeForms) {
		s.forms(p, start, length, codeForms[length])
	}
}

// forms tries those that go on, or end, as what is there does.
func (s *personalSearch) forms(p *peek, start, length int, list []personalForm) {
	if len(list) == 0 {
		return
	}
	after := p.at(start + length)
	for i := range list {
		if f := &list[i]; len(f.shape) == length || f.shape[length] == after {
			s.try(p, start, f)
		}
	}
}

func (s *personalSearch) try(p *peek, start int, f *personalForm) {
	n := &s.tried
	n.p, n.start, n.shape, n.digits = p, start, f.shape, n.room[:0]
	i := start
	for k := 0; k < len(f.shape); k++ {
		c := p.at(i)
		i++
		switch want := f.shape[k]; want {
		case '9':
			if !numeral(c) {
				return
			}
		case 'A':
			if !capital(c) {
				return
			}
		case 'N':
			if !numeral(c) && !capital(c) {
				return
			}
		case 'X':
			if !numeral(c) && c != 'X' {
				return
			}
		default:
			if c != want {
				return
			}
			continue
		}
		n.digits = append(n.digits, c)
	}
	if n.end = i; p.stands(start, i) {
		s.add(f.rule, f.check(n), start, i)
	}
}

// luhn is the check of ISO/IEC 7812-1, annex B.
func (d digits) luhn() bool {
	sum := 0
	for i, c := range d {
		v := int(c - '0')
		if (len(d)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// mod is the number's remainder; letters are 10 to 35, as ISO/IEC 7064 has them.
func (d digits) mod(m int) int {
	r := 0
	for _, c := range d {
		if numeral(c) {
			r = (r*10 + int(c-'0')) % m
		} else {
			r = (r*100 + int(c-'A') + 10) % m
		}
	}
	return r
}

// weigh adds the digits up, each times its weight.
func (d digits) weigh(weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * int(d[i]-'0')
	}
	return sum
}

// num is the number in d[from:to].
func (d digits) num(from, to int) int {
	n := 0
	for _, c := range d[from:to] {
		n = n*10 + int(c-'0')
	}
	return n
}

// same says that all are the same digit, which is nobody's number.
func (d digits) same() bool {
	for _, c := range d {
		if c != d[0] {
			return false
		}
	}
	return true
}

// plausible says that there is such a day; of February, in some year.
func plausible(month, day int) bool {
	const days = "\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
	return month >= 1 && month <= 12 && day >= 1 && day <= int(days[month-1])
}

// born says that somebody who lives may be born in that year.
func born(year int) bool { return year >= 1900 && year < 2100 }

// sure is high where it holds, and medium otherwise.
func sure(yes bool) Severity {
	if yes {
		return High
	}
	return Medium
}
