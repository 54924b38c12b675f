package policy

import "strings"

// minPrefix is from how many letters on the beginning of a name stands for the
// name: "net" is near "network", "n" is not.
const minPrefix = 3

// Nearest is the one of known that name was probably meant to be, or "" where
// none is near: at most a third of the letters differ, or the one begins with
// the other. The first of equally near names wins.
func Nearest(name string, known []string) string {
	name = strings.ToLower(name)
	best, bestDistance := "", -1
	for _, candidate := range known {
		distance, near := nearness(name, strings.ToLower(candidate))
		if near && (best == "" || distance < bestDistance) {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

func nearness(a, b string) (distance int, near bool) {
	short, long := min(len(a), len(b)), max(len(a), len(b))
	allowed := (long + 2) / 3
	if short >= minPrefix && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
		return allowed, true
	}
	// What follows takes time in the product of the lengths, and the name comes
	// from a file: a name that is too long to be near is not measured.
	if short == 0 || long-short > allowed {
		return 0, false
	}
	distance = editDistance(a, b)
	return distance, distance <= allowed && distance < short
}

// editDistance counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a (optimal string alignment).
func editDistance(a, b string) int {
	var before []int // the row for a[:i-1]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
