package zstd

import "math/bits"

// fseTable decodes symbols by states (RFC 8878, section 4.1).
type fseTable struct {
	log     int
	entries []fseEntry
}

type fseEntry struct {
	base   uint16 // of the next state
	symbol uint8
	bits   uint8
}

// readFSE reads a table's description (section 4.1.1), and how long it is.
func (t *fseTable) readFSE(b []byte, maxLog, maxSymbol int) (int, error) {
	s := forward{b: b}
	log := s.read(4) + 5
	if log > maxLog {
		return 0, malformed("a table has 2^%d states", log)
	}
	norm := make([]int, 0, maxSymbol+1)
	for left := 1 << log; left > 0; {
		if len(norm) > maxSymbol || s.pos > 8*len(b) {
			return 0, malformed("a table has too many symbols, or no end")
		}
		n := bits.Len(uint(left + 1))
		v := s.read(n)
		low := 1<<(n-1) - 1
		threshold := 1<<n - 1 - (left + 1)
		if v&low < threshold {
			s.pos-- // it has one bit less
			v &= low
		} else if v > low {
			v -= threshold
		}
		p := v - 1
		norm = append(norm, p)
		left -= max(p, -p)
		if left < 0 {
			return 0, malformed("a table has more states than it says")
		}
		for p == 0 {
			zeros := s.read(2)
			for range zeros {
				norm = append(norm, 0)
			}
			if zeros != 3 {
				break
			}
			if len(norm) > maxSymbol {
				return 0, malformed("a table has too many symbols")
			}
		}
	}
	if len(norm) > maxSymbol+1 {
		return 0, malformed("a table has too many symbols")
	}
	size := (s.pos + 7) / 8
	if size > len(b) {
		return 0, malformed("a table has no end")
	}
	return size, t.build(norm, log)
}

// build spreads symbols over states (section 4.1.1, "Decoding table").
func (t *fseTable) build(norm []int, log int) error {
	size := 1 << log
	if cap(t.entries) < size {
		t.entries = make([]fseEntry, size)
	}
	t.log, t.entries = log, t.entries[:size]
	next := make([]int, len(norm))
	high := size - 1
	for s, p := range norm {
		next[s] = max(p, -p)
		if p == -1 {
			t.entries[high].symbol = uint8(s)
			high--
		}
	}
	step, pos := size>>1+size>>3+3, 0
	for s, p := range norm {
		for range max(p, 0) {
			t.entries[pos].symbol = uint8(s)
			for pos = (pos + step) & (size - 1); pos > high; {
				pos = (pos + step) & (size - 1)
			}
		}
	}
	if pos != 0 {
		return malformed("a table's states do not add up")
	}
	for i := range t.entries {
		e := &t.entries[i]
		state := next[e.symbol]
		next[e.symbol]++
		e.bits = uint8(log - (bits.Len(uint(state)) - 1))
		e.base = uint16(state<<e.bits - size)
	}
	return nil
}

// single is a table of one symbol.
func (t *fseTable) single(symbol uint8) {
	t.log, t.entries = 0, []fseEntry{{symbol: symbol}}
}
