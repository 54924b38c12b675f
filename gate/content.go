package gate

// Content finds what is dangerous about a file as a whole: programs, permissions
// that give away rights, archives that write outside of where they are unpacked,
// and text that reads otherwise than it runs. Of streams it looks only at those
// that are archives.
func Content() Scanner {
	return Scanner{
		Name: "content", Version: "1",
		Rules: contentRules,
		New:   func(s Subject) Search { return &contentSearch{subject: s} },
	}
}

// contentSearch sees what a subject begins with, and gives the rest to those who
// know about that.
type contentSearch struct {
	subject Subject
	known   bool
	parts   []contentPart

	// Of the window that is being looked at:
	at     int64
	data   []byte
	report func(Match)
}

// contentPart is one that looks at all of a subject.
type contentPart interface {
	// next looks at what it can, and says what it needs the next window to hold.
	next(s *contentSearch, w Window) (keep int64)
}

// contentHead is how much is needed to know what something is: a header of tar.
const contentHead = tarBlock

func (s *contentSearch) Next(w Window, found func(Match)) Hold {
	s.report, s.data, s.at = found, w.Data, w.Start
	if !s.known && !s.begin(w) {
		hold := Hold{Keep: w.Start, Soft: w.Tail(), Hard: w.Tail()}
		if magic, _ := magicOf(w.Data); magic != magicNone || mayBeTar(w.Data) {
			hold.Soft = w.Start
		}
		return hold
	}
	keep := w.Tail()
	for _, part := range s.parts {
		keep = min(keep, part.next(s, w))
	}
	if s.report, s.data = nil, nil; w.End {
		keep = w.Tail()
	}
	keep = max(keep, w.Start)
	return Hold{Keep: keep, Soft: keep, Hard: keep}
}

// found reports what is between two offsets of the window.
func (s *contentSearch) found(rule string, severity Severity, start, end int64) {
	s.foundAs(rule, severity, start, end, s.data[start-s.at:end-s.at])
}

// foundAs reports what may not be in the window any more.
func (s *contentSearch) foundAs(rule string, severity Severity, start, end int64, text []byte) {
	s.report(Match{Rule: rule, Severity: severity, Start: start, End: end, Preview: Mask(text)})
}

// begin looks at the beginning, which is the window, once enough of it is there.
func (s *contentSearch) begin(w Window) (known bool) {
	if len(w.Data) < contentHead && !w.End {
		return false
	}
	magic, size := magicOf(w.Data)
	if s.subject.File && !s.ofFile(w, magic, size) {
		return false
	}
	s.known = true
	if isTar(w.Data) {
		s.parts = append(s.parts, newTarWalk())
	}
	switch magic {
	case magicZip:
		names := newZipNames()
		s.parts = append(s.parts, &zipWalk{names: names}, &zipDirectory{names: names, whole: true})
	case magicGzip:
		s.parts = append(s.parts, &gzipTail{})
	case magicOpaque:
		s.found("archive-opaque", Info, 0, int64(size))
	}
	return true
}

// ofFile looks for what counts only in files. false: more of it must be there.
func (s *contentSearch) ofFile(w Window, magic contentMagic, size int) bool {
	const give = 0o6000 // set-user-ID and set-group-ID, chmod(2)
	binary := false
	for _, c := range w.Data[:min(len(w.Data), contentHead)] {
		binary = binary || c == 0
	}
	severity := Severity(0)
	switch magic {
	case magicProgram:
		severity = Low
	case magicDOS:
		is, certain := isPE(w.Data)
		if !certain && !w.End {
			return false
		}
		if is {
			severity = Low
		}
	case magicScript:
		if s.subject.Mode&0o111 != 0 {
			severity = Info
		}
	}
	if s.subject.Mode&give != 0 {
		const least = 4
		s.found("setuid", High, 0, int64(min(least, len(w.Data))))
	}
	if severity > 0 {
		s.found("executable", severity, 0, int64(size))
	}
	if magic != magicZip {
		s.parts = append(s.parts, &zipDirectory{})
	}
	if !binary {
		s.parts = append(s.parts, &bidiText{})
	}
	return true
}
