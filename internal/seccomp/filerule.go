package seccomp

import (
	"fmt"
	"slices"
)

// rule reads an entry of syscalls.
func (r *fileReader) rule(n *jsonNode) error {
	if n.value == nil {
		return r.fail(n, "", "expected an object, found null")
	}
	rule := fileRule{included: true}
	var name, comment string
	var action, errno, args *jsonNode
	err := r.object(n, map[string]func(*jsonNode) error{
		"names":    r.texts(&rule.names),
		"name":     r.text(&name),
		"action":   func(v *jsonNode) error { action = v; return nil },
		"errnoRet": func(v *jsonNode) error { errno = v; return nil },
		"args":     func(v *jsonNode) error { args = v; return nil },
		"comment":  r.text(&comment),
		"includes": func(v *jsonNode) error { return r.condition(v, &rule, true) },
		"excludes": func(v *jsonNode) error { return r.condition(v, &rule, false) },
	})
	switch {
	case err != nil:
		return err
	case name != "" && len(rule.names) > 0:
		return r.fail(n, "use names", "name and names are both there")
	case action == nil:
		return r.fail(n, `write "action": "SCMP_ACT_ALLOW"`, "a rule without an action")
	case name != "":
		rule.names = []string{name}
	case len(rule.names) == 0:
		return r.fail(n, "name the system calls", "a rule without names")
	}
	if len(r.rules) == maxRules || len(rule.names) > maxRules {
		return r.fail(n, "put names with the same action into one rule", "more than %d rules, or names in a rule", maxRules)
	}
	if slices.Contains(rule.names, "") {
		return r.fail(n, "remove it", "a name is empty")
	}
	if rule.answer, err = r.action(action); err != nil {
		return err
	}
	if rule.answer, err = r.withErrno(rule.answer, errno); err != nil {
		return err
	}
	if args != nil {
		if rule.when, err = r.args(args); err != nil {
			return err
		}
	}
	r.rules = append(r.rules, rule)
	return nil
}

// condition reads includes or excludes (Docker's format), for a process without
// capabilities: what needs one is not for it, and what is kept from one that has
// it is.
func (r *fileReader) condition(n *jsonNode, rule *fileRule, includes bool) error {
	var caps, arches []string
	var least string
	var at *jsonNode
	err := r.object(n, map[string]func(*jsonNode) error{
		"caps": r.texts(&caps), "arches": r.texts(&arches),
		"minKernel": func(v *jsonNode) error { at = v; return r.text(&least)(v) },
	})
	if err != nil {
		return err
	}
	newEnough := true
	if least != "" {
		v, err := parseVersion(least)
		if err != nil {
			return r.fail(at, "", "minKernel: %v", err)
		}
		newEnough = !r.kernel.less(v)
	}
	here := slices.Contains(arches, r.arch)
	if includes {
		rule.included = rule.included && len(caps) == 0 && (len(arches) == 0 || here) && newEnough
	} else {
		rule.included = rule.included && !here && (least == "" || !newEnough)
	}
	return nil
}

// operators make a test of an argument's value.
var operators = map[string]func(value, two uint64) test{
	"SCMP_CMP_NE":        func(v, _ uint64) test { return test{mask: whole, not: true, values: []uint64{v}} },
	"SCMP_CMP_LT":        func(v, _ uint64) test { return test{mask: whole, least: true, not: true, values: []uint64{v}} },
	"SCMP_CMP_LE":        func(v, _ uint64) test { return notMore(v) },
	"SCMP_CMP_EQ":        func(v, _ uint64) test { return test{mask: whole, values: []uint64{v}} },
	"SCMP_CMP_GE":        func(v, _ uint64) test { return test{mask: whole, least: true, values: []uint64{v}} },
	"SCMP_CMP_GT":        func(v, _ uint64) test { t := notMore(v); t.not = !t.not; return t },
	"SCMP_CMP_MASKED_EQ": func(mask, v uint64) test { return test{mask: mask, values: []uint64{v}} },
}

// notMore holds for values up to v: less than v+1, where there is such a number,
// else any.
func notMore(v uint64) test {
	if v == whole {
		return test{mask: whole, least: true, values: []uint64{0}}
	}
	return test{mask: whole, least: true, not: true, values: []uint64{v + 1}}
}

// args reads the conditions of a rule. All must hold; but where two are on the
// same argument, each is an alternative, which is how runc and crun read them.
func (r *fileReader) args(n *jsonNode) (rule, error) {
	var tests alternative
	seen := make(map[int]bool)
	twice := false
	err := r.list(n, func(item *jsonNode) error {
		t, err := r.arg(item)
		twice = twice || seen[t.arg]
		seen[t.arg] = true
		tests = append(tests, t)
		return err
	})
	if err != nil || len(tests) == 0 {
		return nil, err
	}
	if !twice {
		return rule{tests}, nil
	}
	r.notes = append(r.notes, fmt.Sprintf("%v: conditions on one argument are alternatives, as with runc", r.fail(n, "", "args")))
	var either rule
	for _, t := range tests {
		either = append(either, alternative{t})
	}
	return either, nil
}

func (r *fileReader) arg(n *jsonNode) (test, error) {
	var index, value, two uint64
	var op string
	var opAt, indexAt *jsonNode
	const lastArgument = 5 // seccomp_data has six
	err := r.object(n, map[string]func(*jsonNode) error{
		"index":    func(v *jsonNode) error { indexAt = v; return r.number(&index, lastArgument)(v) },
		"value":    r.number(&value, whole),
		"valueTwo": r.number(&two, whole),
		"op":       func(v *jsonNode) error { opAt = v; return r.text(&op)(v) },
	})
	if err != nil {
		return test{}, err
	}
	if opAt == nil || indexAt == nil {
		return test{}, r.fail(n, `write {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}`, "a condition needs index and op")
	}
	operator, ok := operators[op]
	if !ok {
		return test{}, r.fail(opAt, unknownName(op, operators), "unknown operator %s", opAt.what())
	}
	if op == "SCMP_CMP_MASKED_EQ" && two&^value != 0 {
		return test{}, r.fail(n, "value is the mask, and valueTwo what is left under it", "valueTwo %d has bits that the mask %d has not: it never holds", two, value)
	}
	t := operator(value, two)
	t.arg = int(index)
	return t, nil
}
