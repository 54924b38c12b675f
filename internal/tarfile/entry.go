package tarfile

import (
	"strconv"
	"strings"
)

// Which dialect a header is of, by its magic and what is after it.
const (
	magicPOSIX  = "ustar\x00"
	magicGNU    = "ustar  \x00" // with the version
	trailerStar = "tar\x00"
)

// entry reads the header in r.block, and what came before it.
func (r *Reader) entry(sp *special) (*Header, error) {
	b := &r.block
	h := &Header{Name: cString(b[0:100]), Linkname: cString(b[157:257])}
	for _, f := range []struct {
		what string
		raw  []byte
		to   *int64
	}{
		{"mode", b[100:108], &h.Mode}, {"uid", b[108:116], &h.UID}, {"gid", b[116:124], &h.GID},
		{"size", b[124:136], &h.Size}, {"mtime", b[136:148], &h.Sec},
	} {
		v, err := number(f.raw)
		if err != nil {
			return nil, malformed("the %s of %q is no number", f.what, h.Name)
		}
		*f.to = v
	}
	switch {
	case string(b[257:263]) == magicPOSIX:
		prefix := b[345:500]
		if string(b[508:512]) == trailerStar {
			prefix = b[345:476] // times come after it
		}
		if p := cString(prefix); p != "" {
			h.Name = p + "/" + h.Name
		}
	}
	if err := sp.mergeInto(h); err != nil {
		return nil, err
	}
	if err := r.setType(h); err != nil {
		return nil, err
	}
	// Before there was a magic, there were no device numbers.
	numbered := string(b[257:263]) == magicPOSIX || string(b[257:265]) == magicGNU
	if numbered && (h.Type == Char || h.Type == Block) {
		var err1, err2 error
		h.Major, err1 = number(b[329:337])
		h.Minor, err2 = number(b[337:345])
		if err1 != nil || err2 != nil {
			return nil, malformed("the device numbers of %q are none", h.Name)
		}
	}
	if h.Type != Regular {
		h.Size = 0 // what it says is not followed by data (POSIX, pax, "linkflag")
	}
	if h.Size < 0 {
		return nil, malformed("%q has a negative size", h.Name)
	}
	r.setData(h.Size)
	return h, r.setSparse(h, sp)
}

// mergeInto puts what came before an entry in the place of what it says itself.
func (sp *special) mergeInto(h *Header) error {
	for key, value := range sp.pax {
		if name, ok := strings.CutPrefix(key, paxXattr); ok {
			if h.Xattrs == nil {
				h.Xattrs = make(map[string]string)
			}
			h.Xattrs[name] = value
			continue
		}
		if value == "" {
			continue // an empty value takes a global one back; there are none
		}
		var err error
		switch key {
		case "path":
			h.Name = value
		case "linkpath":
			h.Linkname = value
		case "size":
			h.Size, err = strconv.ParseInt(value, 10, 64)
		case "uid":
			h.UID, err = strconv.ParseInt(value, 10, 64)
		case "gid":
			h.GID, err = strconv.ParseInt(value, 10, 64)
		case "mtime":
			h.Sec, h.Nsec, err = paxTime(value)
		}
		if err != nil {
			return malformed("%s is %q", key, value)
		}
	}
	if sp.longName != "" {
		h.Name = sp.longName
	}
	if sp.longLink != "" {
		h.Linkname = sp.longLink
	}
	return nil
}

func (r *Reader) setType(h *Header) error {
	switch c := r.block[156]; c {
	case '0', '7', 'S': // 7: contiguous, S: sparse
		h.Type = Regular
	case 0:
		h.Type = Regular
		if strings.HasSuffix(h.Name, "/") { // V7 had no type for directories
			h.Type = Dir
		}
	case '1', '2', '3', '4', '5', '6':
		h.Type = Type(c)
	default:
		return malformed("%q has the unknown type %q", h.Name, c)
	}
	return nil
}

// number reads octal digits, or a base-256 number (GNU), which has the highest
// bit of the first byte set and the second-highest as its sign.
func number(b []byte) (int64, error) {
	if b[0]&0x80 == 0 {
		return octal(b)
	}
	var invert byte
	if b[0]&0x40 != 0 {
		invert = 0xff
	}
	var v uint64
	for i, c := range b {
		c ^= invert
		if i == 0 {
			c &= 0x7f
		}
		if v>>55 != 0 {
			return 0, ErrFormat
		}
		v = v<<8 | uint64(c)
	}
	if invert != 0 {
		return ^int64(v), nil
	}
	return int64(v), nil
}

func octal(b []byte) (int64, error) {
	s := strings.Trim(string(b), " \x00")
	if s == "" {
		return 0, nil
	}
	s, _, _ = strings.Cut(s, "\x00")
	v, err := strconv.ParseUint(s, 8, 63)
	return int64(v), err
}
