package policy

// Effect is what it does to a sandbox to go from one value to another.
type Effect string

// Effects. Different: neither value is the stricter, or the field has no order.
const (
	Same      Effect = "same"
	Stricter  Effect = "stricter"
	Weaker    Effect = "weaker"
	Different Effect = "different"
)

// Difference is one field in which two policies differ in meaning.
type Difference struct {
	// Field is as in FieldError, but for mounts, which are named by where they
	// are seen, because their places in the lists differ:
	// `filesystem.mounts["/data"].access`.
	Field string `json:"field"`

	// From and To are the values, in the words of a policy file. A value that
	// is not set is shown as what it stands for: "256m (default)".
	From string `json:"from"`
	To   string `json:"to"`

	// Effect is never Same.
	Effect Effect `json:"effect"`
}

// Value is what one field of a policy says.
type Value struct {
	Field string `json:"field"` // as in Difference
	Value string `json:"value"` // in the words of a policy file

	// Default says that the field is zero, and Value what that stands for.
	Default bool `json:"default"`
}

func (v Value) String() string {
	if v.Default {
		return v.Value + " (default)"
	}
	return v.Value
}

// Values lists what the fields of p say, in their order. Mounts and variables
// have a Value each; where there are none, one Value says so. The policy must be
// valid.
func Values(p Policy) []Value {
	var list []Value
	for _, r := range rules() {
		list = append(list, r.values(&p)...)
	}
	return list
}

// Diff lists in which fields two policies differ in what they mean, in the
// order of the fields. Names are not compared, and neither is how a value is
// spelled. Both policies must be valid.
func Diff(from, to Policy) []Difference {
	var list []Difference
	for _, r := range rules() {
		list = append(list, r.diff(&from, &to)...)
	}
	return list
}

// Covers reports whether a allows all that b allows: b is as strict in each
// field, or stricter. A user, a variable and a working directory grant nothing:
// where a leaves one open, b may set it. Both policies must be valid.
func Covers(a, b Policy) bool {
	for _, r := range rules() {
		if !r.covers(&a, &b) {
			return false
		}
	}
	return true
}

// effect is what it does to go from one value to another, of which the first
// covers the second, or the second the first, or both, or neither.
func effect(firstCovers, secondCovers bool) Effect {
	switch {
	case firstCovers && secondCovers:
		return Same
	case firstCovers:
		return Stricter
	case secondCovers:
		return Weaker
	}
	return Different
}

// unless is a list of d, or an empty one where its effect is e.
func (d Difference) unless(e Effect) []Difference {
	if d.Effect == e {
		return nil
	}
	return []Difference{d}
}
