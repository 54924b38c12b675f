package policyfile

import (
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach/policy"
)

// Named is a policy and what it is called in errors: the path of its file, or
// the name of a preset.
type Named struct {
	Name   string
	Policy policy.Policy
}

// LoadAll reads the policy files at paths and merges them. The error is what is
// wrong with any of them, as with Load, or what Merge says.
func LoadAll(paths ...string) (policy.Policy, error) {
	var list []Named
	var errs []error
	for _, path := range paths {
		p, err := Load(path)
		errs = append(errs, err)
		list = append(list, Named{path, p})
	}
	if err := errors.Join(errs...); err != nil {
		return policy.Policy{}, err
	}
	return Merge(list...)
}

// Merge is policy.Merge over a list, from left to right. The error is as there,
// and each problem also names the policies that it is between. The merge of none
// is an error, because it would allow everything.
func Merge(list ...Named) (policy.Policy, error) {
	if len(list) == 0 {
		return policy.Policy{}, errors.New("merge policies: there are none; name one at least")
	}
	merged := list[0]
	for _, next := range list[1:] {
		p, err := policy.Merge(merged.Policy, next.Policy)
		if err != nil {
			return policy.Policy{}, between(merged.Name, next.Name, err)
		}
		merged = Named{merged.Name + " + " + next.Name, p}
	}
	return merged.Policy, nil
}

// between says of each problem which policies it is between.
func between(first, second string, err error) error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return fmt.Errorf("merge %s with %s: %w", first, second, err)
	}
	var errs []error
	for _, inner := range several.Unwrap() {
		var found *policy.FieldError
		if errors.As(inner, &found) {
			told := *found
			told.Problem = fmt.Sprintf("%s (from %s and %s)", told.Problem, first, second)
			inner = &told
		}
		errs = append(errs, inner)
	}
	return errors.Join(errs...)
}
