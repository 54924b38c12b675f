package gate

// phone looks at a number with the + of E.164 before it.
func (s *personalSearch) phone(p *peek, start int) {
	const least, most = 9, 15 // E.164, 6.1; shorter ones are nobody's own
	if before := p.at(start - 2); wordly(before) || before == '+' || before == '/' || before == '.' {
		return
	}
	end, digits, groups := telephone(p, start)
	if digits < least || digits > most || !isCountry(p, start) || !p.stands(start-1, end) {
		return
	}
	// A line that a patch adds begins with + too.
	if line := p.at(start - 2); groups == 1 && (line == '\n' || line == 0) {
		return
	}
	if p.b[start] == '1' && (digits != 11 || p.at(start+1) == '0') {
		return
	}
	s.add("phone", Low, start-1, end)
}

// national looks at a number in groups beside a word for telephones.
func (s *personalSearch) national(p *peek, start, length int) {
	const least, most = 7, 13
	if length > 6 || p.at(start-1) == '.' || p.at(start-1) == '-' {
		return
	}
	// Most numbers are not the beginning of one: that is seen at once.
	switch p.at(start + length) {
	case ' ', '-', '.', '/', ')':
	default:
		return
	}
	if length == 4 && p.at(start+4) == '-' && !numeral(p.at(start+7)) {
		return // a date
	}
	end, digits, groups := telephone(p, start)
	if digits < least || digits > most || groups < 2 || !p.stands(start, end) {
		return
	}
	if p.near(start, "phone", "telephone", "tel", "mobile", "fax", "telefon", "téléphone", "handy", "móvil", "teléfono", "telefono", "cellulare", "whatsapp") {
		s.add("phone", Low, start, end)
	}
}

// telephone reads groups of digits with a blank, a dash, a dot, a slash or
// parentheses between them.
func telephone(p *peek, start int) (end, digits, groups int) {
	const longest = 28
	i, in := start, false
	for i-start < longest {
		c := p.at(i)
		switch {
		case numeral(c):
			if digits++; !in {
				groups++
			}
			in, end = true, i+1
		case c == '(' || c == ')' && in:
			in = false
		case c == ' ' || c == '-' || c == '.' || c == '/':
			last := p.at(i - 1)
			if next := p.at(i + 1); !in && last != ')' || !numeral(next) && next != '(' {
				return end, digits, groups
			}
			in = false
		default:
			return end, digits, groups
		}
		i++
	}
	return end, digits, groups
}

// isCountry says that a country's code begins there (ITU-T E.164, list of
// assigned codes): all of two digits are given out where those of three are not.
func isCountry(p *peek, i int) bool {
	a, b := p.at(i), p.at(i+1)
	switch a {
	case '1', '7':
		return true
	case '2':
		return b != '8'
	case '3', '5', '4', '6':
		return true
	case '8':
		return b != '3' && b != '9'
	case '9':
		return true
	}
	return false
}
