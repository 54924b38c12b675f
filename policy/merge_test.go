package policy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// rounds is how many policies, pairs or triples each law is tried on. A law
// that breaks breaks within a few hundred.
const rounds = 1500

// one picks a value; the pools are small, so that policies often agree.
func one[T any](r *rand.Rand, pool ...T) T { return pool[r.IntN(len(pool))] }

// some picks a part of a pool, in any order.
func some[T any](r *rand.Rand, pool ...T) []T {
	var list []T
	for _, i := range r.Perm(len(pool)) {
		if r.IntN(2) == 0 {
			list = append(list, pool[i])
		}
	}
	return list
}

// arbitrary is a valid policy.
func arbitrary(r *rand.Rand) Policy {
	for {
		p := Policy{
			Filesystem: Filesystem{
				Root: one(r, "", RootHost, RootHost, RootHost, "/srv/root"), Mounts: arbitraryMounts(r),
				Protected: some(r, ".git/hooks", ".envrc", "a"),
				Writable:  one(r, true, false), TmpSize: one[Bytes](r, 0, 1, 64<<20), Landlock: one(r, "", On, Off),
			},
			Seccomp: Seccomp{
				Profile: one(r, "", SeccompStrict, SeccompDefault, Off), Files: some(r, "/a.json", "/b.json"),
				Mode: one(r, "", SeccompEnforce, SeccompLog),
			},
			Network: Network{Loopback: one(r, true, false)},
			Resources: Resources{
				Memory: one(r, 0, 64<<20, DefaultMemory, Unlimited), CPUs: one(r, 0, 0.5, DefaultCPUs, Unlimited),
				PIDs: one(r, 0, 7, DefaultPIDs, Unlimited), Output: one(r, 0, 1, DefaultOutput, Unlimited),
				Timeout: one(r, 0, Duration(time.Second), DefaultTimeout, Unlimited),
				Swap:    one[Bytes](r, 0, 1<<20, Unlimited), IORead: one[Bytes](r, 0, 1, 2, Unlimited), IOWrite: one[Bytes](r, 0, 1, 2, Unlimited),
			},
			Process: Process{User: one(r, "", "0", "1000:1000"), Workdir: one(r, "", "/", "/tmp")},
			Require: Require{MinScore: one(r, 0, 50, 60), Backends: some(r, "noop", "process", "gvisor")},
		}
		if p.Filesystem.Root == "" {
			p.Filesystem.Image = one(r, "", "alpine", "rootfs:/srv/image")
		}
		for _, name := range some(r, "A", "B") {
			if p.Process.Env == nil {
				p.Process.Env = make(map[string]string)
			}
			p.Process.Env[name] = one(r, "", "1")
		}
		p.Gate = arbitraryGate(r)
		p.Credentials = arbitraryCredentials(r)
		p.BestEffort = some(r, Limits, LandlockOn, SeccompOn)
		if p.Validate() == nil {
			return p
		}
	}
}

func arbitraryGate(r *rand.Rand) Gate {
	g := Gate{
		Mode: one(r, "", GateLive, GateCollected, GateOff), Scanners: some(r, GateScanners()...),
		Input: one(r, "", InputCounts, InputAllowed),
	}
	if g.Mode != GateOff {
		g.Redact, g.Quarantine = one(r, "", SeverityLow, Off), one(r, "", SeverityHigh, Off)
		g.Block = one(r, "", SeverityHigh, SeverityCritical)
		for _, name := range some(r, "a", "b") {
			x := ExternalScanner{Name: name, Command: []string{"/" + name}, Timeout: one(r, 0, DefaultScanTimeout)}
			g.External = append(g.External, x)
		}
	}
	for _, id := range some(r, "r/1", "r/2", "r/3") {
		if r.IntN(2) == 0 {
			g.Ignore = append(g.Ignore, id)
			continue
		}
		if g.Severity == nil {
			g.Severity = make(map[string]string)
		}
		g.Severity[id] = one(r, Severities()...)
	}
	return g
}

func arbitraryCredentials(r *rand.Rand) []Credential {
	var list []Credential
	for _, name := range some(r, "A", "B", "C") {
		c := Credential{Name: name, Source: one(r, "file:/secret", "file:/secret", "cmd:helper"), Lifetime: one(r, "", LifetimeCommand)}
		switch r.IntN(3) {
		case 0:
			c.As = one(r, "env:", "placeholder:") + name
		case 1:
			c.As, c.Lifetime = "file:/run/secrets/"+name, one(r, "", LifetimeCommand, LifetimeSandbox, "1m", "60s", "5m")
		}
		c.Shared = c.Source == "file:/secret" && r.IntN(2) == 0
		list = append(list, c)
	}
	return list
}

func arbitraryMounts(r *rand.Rand) []Mount {
	var mounts []Mount
	for _, target := range some(r, "/w", "/w/in", "/w/in/deep", "/usr/share", "/etc/app") {
		m := Mount{Source: target}
		if r.IntN(3) == 0 {
			m = Mount{Source: "/src" + one(r, "", "/other"), Target: target}
		}
		m.Access = one(r, "", AccessRead, AccessWrite, AccessDirect)
		if r.IntN(2) == 0 {
			m.Rights = some(r, "execute", "read_file", "truncate")
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// related is a policy that mostly agrees with p, so that merges are defined.
func related(r *rand.Rand, p Policy) Policy {
	for {
		q := arbitrary(r)
		if r.IntN(4) > 0 {
			q.Process = p.Process
		}
		if r.IntN(4) > 0 {
			q.Filesystem.Root, q.Filesystem.Image = p.Filesystem.Root, p.Filesystem.Image
		}
		if r.IntN(4) > 0 {
			q.Credentials = otherTerms(r, p.Credentials)
		}
		if r.IntN(2) > 0 {
			q.Filesystem.Mounts = fewerMounts(r, p.Filesystem.Mounts)
		}
		if q.Validate() == nil {
			return q
		}
	}
}

// otherTerms are most of a list of credentials, in any order, some of them given for
// other times.
func otherTerms(r *rand.Rand, list []Credential) []Credential {
	var other []Credential
	for _, i := range r.Perm(len(list)) {
		c := list[i]
		if kind, _ := c.Target(); kind == CredentialFile && r.IntN(2) == 0 {
			c.Lifetime = one(r, "", LifetimeCommand, LifetimeSandbox, "1m", "60s", "5m")
		}
		c.Shared = c.Shared && r.IntN(2) == 0
		if r.IntN(4) > 0 {
			other = append(other, c)
		}
	}
	return other
}

// fewerMounts are most of mounts, in their order, with some other accesses.
func fewerMounts(r *rand.Rand, mounts []Mount) []Mount {
	var list []Mount
	for _, m := range mounts {
		if r.IntN(2) == 0 {
			m.Access = one(r, "", AccessRead, AccessWrite, AccessDirect)
		}
		if r.IntN(3) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// equal reports whether p and q mean the same.
func equal(p, q Policy) bool { return len(Diff(p, q)) == 0 }

func law(t *testing.T, name string, try func(t *testing.T, r *rand.Rand) (tried bool)) {
	t.Run(name, func(t *testing.T) {
		r, tried := rand.New(rand.NewPCG(1, 2)), 0
		for range rounds {
			if try(t, r) {
				tried++
			}
			if t.Failed() {
				return
			}
		}
		if tried < rounds/20 {
			t.Errorf("tried on %d of %d only", tried, rounds)
		}
	})
}

func TestMergeLaws(t *testing.T) {
	law(t, "idempotent", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		m, err := Merge(a, a)
		if err != nil || !equal(m, a) {
			t.Errorf("%+v\nwith itself is %+v, %v\n%v", a, m, err, Diff(a, m))
		}
		return true
	})
	law(t, "commutative", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b := related(r, a)
		ab, errAB := Merge(a, b)
		ba, errBA := Merge(b, a)
		if (errAB == nil) != (errBA == nil) || !equal(ab, ba) {
			t.Errorf("%+v\n%+v\n%v\n%v\n%v", a, b, errAB, errBA, Diff(ab, ba))
		}
		return errAB == nil
	})
	law(t, "associative", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b, c := related(r, a), related(r, a)
		left, errLeft := mergeAll(a, b, c)
		bc, errBC := Merge(b, c)
		right, errRight := Merge(a, bc)
		if errLeft != nil || errBC != nil || errRight != nil {
			return false
		}
		if !equal(left, right) {
			t.Errorf("%+v\n%+v\n%+v\n%v", a, b, c, Diff(left, right))
		}
		return true
	})
	law(t, "no more than either", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b := related(r, a)
		m, err := Merge(a, b)
		if err != nil {
			return false
		}
		if err := m.Validate(); err != nil || !Covers(a, m) || !Covers(b, m) {
			t.Errorf("%+v\n%+v\ngive %+v\n%v\n%v\n%v", a, b, m, err, Diff(a, m), Diff(b, m))
		}
		return true
	})
	law(t, "all that both allow", func(t *testing.T, r *rand.Rand) bool {
		// What is as strict as both is as strict as their merge.
		a := arbitrary(r)
		b, c := related(r, a), related(r, a)
		low, err := mergeAll(a, b, c)
		m, errM := Merge(a, b)
		if err != nil || errM != nil {
			return false
		}
		if !Covers(m, low) {
			t.Errorf("%+v\n%+v\n%+v\n%v", a, b, c, Diff(m, low))
		}
		return true
	})
}

func mergeAll(first Policy, more ...Policy) (Policy, error) {
	var err error
	for _, p := range more {
		if err == nil {
			first, err = Merge(first, p)
		}
	}
	return first, err
}

func TestCoversLaws(t *testing.T) {
	law(t, "reflexive", func(t *testing.T, r *rand.Rand) bool {
		if a := arbitrary(r); !Covers(a, a) || len(Diff(a, a)) > 0 {
			t.Errorf("%+v does not cover itself: %v", a, Diff(a, a))
		}
		return true
	})
	law(t, "transitive", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b, errB := Merge(a, related(r, a))
		c, errC := Merge(b, related(r, b))
		if errB != nil || errC != nil {
			return false
		}
		if !Covers(a, b) || !Covers(b, c) || !Covers(a, c) {
			t.Errorf("%+v\n%+v\n%+v", a, b, c)
		}
		return true
	})
	law(t, "antisymmetric", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b := related(r, a)
		if both := Covers(a, b) && Covers(b, a); both != equal(a, b) {
			t.Errorf("%+v\n%+v\ncover each other: %v; differ in %v", a, b, both, Diff(a, b))
		}
		return true
	})
	law(t, "as Diff has it", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		b, err := Merge(a, related(r, a))
		if err != nil {
			return false
		}
		for _, d := range Diff(a, b) {
			if d.Effect == Weaker || d.Effect == Same || d.From == d.To {
				t.Errorf("%+v\n%+v\n%+v", a, b, d)
			}
		}
		back := Diff(b, a)
		for i, d := range Diff(a, b) {
			opposite := map[Effect]Effect{Stricter: Weaker, Different: Different}[d.Effect]
			if back[i] != (Difference{Field: d.Field, From: d.To, To: d.From, Effect: opposite}) {
				t.Errorf("%+v is, the other way round, %+v", d, back[i])
			}
		}
		return true
	})
}

// The zero policy denies, in a merge too.
func TestMergeWithZero(t *testing.T) {
	law(t, "absorbing", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		m, err := Merge(a, Policy{})
		if err != nil {
			return false // it runs on noop only, which zero does not name
		}
		zero := Policy{Seccomp: Seccomp{Files: a.Seccomp.Files}, Resources: m.Resources, Process: a.Process, Gate: m.Gate, Require: m.Require}
		if !equal(m, zero) || !Covers(Policy{}, m) {
			t.Errorf("%+v\ngives %+v\n%v", a, m, Diff(zero, m))
		}
		return true
	})
}

// A policy does not know what a rule has by itself. Whatever that is, no rule
// counts for less than with one of the policies.
func TestMergeOfSeverities(t *testing.T) {
	law(t, "never less", func(t *testing.T, r *rand.Rand) bool {
		a, b := arbitrary(r), arbitrary(r)
		a, b = Policy{Gate: a.Gate}, Policy{Gate: b.Gate}
		m, err := Merge(a, b)
		if err != nil {
			return false // two programs of one name
		}
		for _, id := range []string{"r/1", "r/2", "r/3"} {
			for own := range Severities() {
				first, second, got := counts(a.Gate, id, own), counts(b.Gate, id, own), counts(m.Gate, id, own)
				if got != max(first, second) {
					t.Errorf("%+v\n%+v\n%s, which is %s, counts as %d and %d, and then as %d", a.Gate, b.Gate, id, Severities()[own], first, second, got)
				}
			}
		}
		return true
	})
}

// counts is the place in Severities of what a finding of a rule counts as, by what
// the rule has by itself; less than any where it does not count.
func counts(g Gate, id string, own int) int {
	if slices.Contains(g.Ignore, id) {
		return -1
	}
	return max(own, slices.Index(Severities(), g.Severity[id]))
}

// Merge shares nothing with what it was given.
func TestMergeCopies(t *testing.T) {
	law(t, "copies", func(t *testing.T, r *rand.Rand) bool {
		a := arbitrary(r)
		before := clone(a)
		m, err := Merge(a, a)
		if err != nil {
			t.Error(err)
		}
		scribble(reflect.ValueOf(&m).Elem())
		if !reflect.DeepEqual(a, before) {
			t.Errorf("a change to the result changes %+v", before)
		}
		return true
	})
}

// clone copies lists and maps, whatever fields there are.
func clone(p Policy) Policy {
	return copied(reflect.ValueOf(p)).Interface().(Policy)
}

func copied(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(copied(v.Field(i)))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(copied(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMap(v.Type()))
			for _, key := range v.MapKeys() {
				out.SetMapIndex(key, v.MapIndex(key))
			}
		}
	}
	return out
}

// scribble overwrites all that v leads to.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, reflect.ValueOf("scribbled"))
		}
	case reflect.String:
		v.SetString("scribbled")
	}
}

// A policy file of the maximal size has about this many items. What takes time
// in their square takes minutes.
func TestMergeLarge(t *testing.T) {
	p := withMounts()
	p.Gate.Severity = make(map[string]string)
	for i := range 30000 {
		p.Filesystem.Mounts = append(p.Filesystem.Mounts, Mount{Source: fmt.Sprintf("/m/%d/%d", i%100, i)})
		p.Filesystem.Protected = append(p.Filesystem.Protected, fmt.Sprintf("%d", i))
		p.Seccomp.Files = append(p.Seccomp.Files, fmt.Sprintf("/%d", i))
		p.Gate.Severity[fmt.Sprintf("r/%d", i)] = SeverityHigh
		p.Gate.Ignore = append(p.Gate.Ignore, fmt.Sprintf("i/%d", i))
		p.Gate.External = append(p.Gate.External, ExternalScanner{Name: fmt.Sprintf("x%d", i), Command: []string{"/x"}})
	}
	p.Filesystem.Mounts = append(p.Filesystem.Mounts, Mount{Source: "/deep" + strings.Repeat("/d", 2000)})
	if m, err := Merge(p, p); err != nil || !equal(m, p) || !Covers(p, m) {
		t.Errorf("%d mounts, %v", len(m.Filesystem.Mounts), err)
	}
}
