package zstd

// Which of the three tables.
const (
	literalLengths = iota
	offsets
	matchLengths
)

// sequenceKinds says what a table may be (RFC 8878, section 3.1.1.3.2).
var sequenceKinds = [3]struct {
	maxLog, maxSymbol int
	defaultLog        int
	defaults          []int
}{
	{9, 35, 6, []int{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1}},
	{8, 31, 5, []int{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1}},
	{9, 52, 6, []int{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1}},
}

// code is what a symbol of a length means: base, and as many bits more.
type code struct {
	base int
	bits int
}

// What literal lengths from 16 on, and match lengths from 32 on, mean (section
// 3.1.1.3.2.1.1). Below, they mean themselves, and themselves and 3 more.
var (
	longLiterals = []code{{16, 1}, {18, 1}, {20, 1}, {22, 1}, {24, 2}, {28, 2}, {32, 3}, {40, 3}, {48, 4}, {64, 6},
		{128, 7}, {256, 8}, {512, 9}, {1024, 10}, {2048, 11}, {4096, 12}, {8192, 13}, {16384, 14}, {32768, 15}, {65536, 16}}
	longMatches = []code{{35, 1}, {37, 1}, {39, 1}, {41, 1}, {43, 2}, {47, 2}, {51, 3}, {59, 3}, {67, 4}, {83, 4}, {99, 5},
		{131, 7}, {259, 8}, {515, 9}, {1027, 10}, {2051, 11}, {4099, 12}, {8195, 13}, {16387, 14}, {32771, 15}, {65539, 16}}
)

// readSequences reads the section of sequences, and carries them out.
func (d *Reader) readSequences(b []byte, limit int) error {
	count, b, err := sequenceCount(b)
	if err != nil {
		return err
	}
	if count == 0 {
		if len(b) != 0 {
			return malformed("something comes after a block's literals")
		}
		d.hist = append(d.hist, d.literals...)
		return nil
	}
	if len(b) == 0 || b[0]&3 != 0 {
		return malformed("the kinds of a block's tables are missing, or reserved")
	}
	modes := b[0]
	b = b[1:]
	for table, shift := range []int{6, 4, 2} {
		n, err := d.readTable(table, modes>>shift&3, b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	s, err := newBackward(b)
	if err != nil {
		return err
	}
	return d.carryOut(&s, count, limit)
}

func sequenceCount(b []byte) (int, []byte, error) {
	switch {
	case len(b) >= 1 && b[0] < 128:
		return int(b[0]), b[1:], nil
	case len(b) >= 2 && b[0] < 255:
		return int(b[0]-128)<<8 | int(b[1]), b[2:], nil
	case len(b) >= 3 && b[0] == 255:
		return int(b[1]) + int(b[2])<<8 + 0x7f00, b[3:], nil
	}
	return 0, nil, malformed("a block does not say how many sequences it has")
}

// readTable reads one of the tables, and returns how long its description is.
func (d *Reader) readTable(table int, mode byte, b []byte) (n int, err error) {
	kind := &sequenceKinds[table]
	t := &d.sequences[table]
	switch mode {
	case 0:
		err = t.build(kind.defaults, kind.defaultLog)
	case 1:
		if len(b) == 0 || int(b[0]) > kind.maxSymbol {
			return 0, malformed("the one symbol of a table is missing, or none")
		}
		t.single(b[0])
		n = 1
	case 2:
		n, err = t.readFSE(b, kind.maxLog, kind.maxSymbol)
	case 3:
		if !d.hasTable[table] {
			err = malformed("a block uses a table that there is not")
		}
	}
	d.hasTable[table] = err == nil
	return n, err
}

// carryOut decodes sequences: so many literals, and then a copy of what came out
// before (section 3.1.1.3.2.1).
func (d *Reader) carryOut(s *backward, count, limit int) error {
	ll, of, ml := &d.sequences[literalLengths], &d.sequences[offsets], &d.sequences[matchLengths]
	stateLL, stateOF, stateML := s.read(ll.log), s.read(of.log), s.read(ml.log)
	literals := d.literals
	end := len(d.hist) + limit
	for i := range count {
		l, o, m := ll.entries[stateLL], of.entries[stateOF], ml.entries[stateML]
		offset := 1<<o.symbol | int(s.read(int(o.symbol)))
		match := int(m.symbol) + 3
		if m.symbol >= 32 {
			c := longMatches[m.symbol-32]
			match = c.base + int(s.read(c.bits))
		}
		length := int(l.symbol)
		if l.symbol >= 16 {
			c := longLiterals[l.symbol-16]
			length = c.base + int(s.read(c.bits))
		}
		if i < count-1 {
			stateLL = uint64(l.base) + s.read(int(l.bits))
			stateML = uint64(m.base) + s.read(int(m.bits))
			stateOF = uint64(o.base) + s.read(int(o.bits))
		}
		if s.overrun() || length > len(literals) || len(d.hist)+length+match > end {
			return malformed("a sequence has more than its block")
		}
		d.hist = append(d.hist, literals[:length]...)
		literals = literals[length:]
		distance, err := d.distance(offset, length == 0)
		if err != nil {
			return err
		}
		d.repeat(distance, match)
	}
	if !s.done() || len(d.hist)+len(literals) > end {
		return malformed("a block has more than its sequences")
	}
	d.hist = append(d.hist, literals...)
	return nil
}

// distance is how far back an offset means: itself less 3, or one of the last
// three (section 3.1.1.5).
func (d *Reader) distance(offset int, noLiterals bool) (int, error) {
	r := &d.repeats
	which := offset - 1
	if noLiterals {
		which++
	}
	switch {
	case offset > 3:
		r[0], r[1], r[2] = offset-3, r[0], r[1]
	case which == 1:
		r[0], r[1] = r[1], r[0]
	case which == 2:
		r[0], r[1], r[2] = r[2], r[0], r[1]
	case which == 3:
		r[0], r[1], r[2] = r[0]-1, r[0], r[1]
	}
	if r[0] <= 0 || r[0] > len(d.hist) {
		return 0, malformed("a sequence refers to what is not there")
	}
	return r[0], nil
}

// repeat appends length bytes from distance back, of which some may be new.
func (d *Reader) repeat(distance, length int) {
	for length > 0 {
		n := min(distance, length)
		from := len(d.hist) - distance
		d.hist = append(d.hist, d.hist[from:from+n]...)
		length -= n
		distance += n
	}
}
