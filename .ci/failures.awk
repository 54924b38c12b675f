# Prints of the output of "go test -v", or of a test binary, what failed and why,
# and nothing of what passed: the names, the packages, what did not build, what
# crashed, and what each failed test said itself; and the names again.

BEGIN { most = 60 } # lines of a test, or of a crash

function note(line) { if (++notes <= 4 * most) said[notes] = line }

# shorten prints lines of a text: all, or its beginning and its end.
function shorten(key, n, head,   i) {
	for (i = 1; i <= n; i++) {
		if (n > most && i == head + 1) {
			i = n - most + head + 1
			note("    [" (n - most) " lines are left out]")
		}
		note(text[key, i])
	}
}

function keep(key, line) { text[key, ++lines[key]] = line }

# flush is the end of a package: failed says whether it failed.
function flush(package, failed,   i, j, name, leaf) {
	for (i = 1; failed && i <= tests; i++) {
		name = test[i]
		if (result[name] == "PASS" || result[name] == "SKIP") continue
		# The results of subtests are told with those of their parents: after a
		# crash most have none. Of those, it is the last that did not end.
		if (result[name] == "" && name != last) continue
		leaf = 1
		for (j = 1; j <= tests; j++)
			if (index(test[j], name "/") == 1 && result[test[j]] != "PASS" && result[test[j]] != "SKIP") leaf = 0
		if (!leaf && lines[name] == 0) continue
		label = (result[name] == "" ? "did not end: " : "FAIL: ") name (package == "" ? "" : "  (" package ")")
		if (leaf) names[++failures] = label
		note("")
		note("--- " label)
		shorten(name, lines[name], most / 3)
	}
	if (failed && lines["crash "] > 0) {
		note("")
		note("--- crash" (package == "" ? "" : " of " package) (last == "" ? "" : " in " last))
		shorten("crash ", lines["crash "], most - 10) # who crashed is told first
	}
	if (failed && lines["loose "] > 0) {
		note("")
		note("--- beside the tests" (package == "" ? "" : " of " package))
		shorten("loose ", lines["loose "], most / 3)
	}
	for (i = 1; i <= tests; i++) {
		delete result[test[i]]
		delete lines[test[i]]
	}
	tests = 0
	lines["crash "] = lines["loose "] = 0
	current = last = mode = ""
}

/^(ok|FAIL|\?) *\t/ {
	if ($1 != "?") packages[++npackages] = $0
	if ($0 ~ /\[(build|setup) failed\]/) names[++failures] = $0
	flush($2, $1 == "FAIL")
	next
}
/^=== RUN / {
	current = last = $3
	mode = ""
	if (!(current in result)) { test[++tests] = current; result[current] = "" }
	next
}
/^=== (NAME|CONT) / { current = last = $3; mode = ""; next }
/^=== PAUSE / { next }
/^ *--- (PASS|FAIL|SKIP): / && mode != "crash " {
	match($0, /--- [A-Z]+: /)
	name = substr($0, RSTART + RLENGTH)
	sub(/ \([0-9.]+s\)$/, "", name)
	# What a test says may have such lines as well, further to the right.
	if ((name in result) && (RSTART > 1) == (index(name, "/") > 0)) {
		result[name] = substr($0, RSTART + 4, 4)
		current = ""
		next
	}
}
/^(PASS|FAIL)$/ { current = ""; next }
/^(panic:|fatal error:|SIG[A-Z]+: |unexpected fault address)/ { mode = "crash " }
/^# / && current == "" { mode = "build " }
{ keep(mode != "" ? mode : current != "" ? current : "loose ", $0) }

END {
	flush("", 1)
	print "== failed"
	for (i = 1; i <= failures && i <= most; i++) print names[i]
	if (failures > most) print "and " failures - most " more"
	print "== packages"
	for (i = 1; i <= npackages; i++) print packages[i]
	if (lines["build "] > 0) {
		print "== does not build"
		for (i = 1; i <= lines["build "] && i <= 2 * most; i++) print text["build ", i]
	}
	print "== what they said"
	for (i = 1; i <= notes && i <= 4 * most; i++) print said[i]
	if (notes > 4 * most) print "[" notes - 4 * most " lines more]"
	print "== failed"
	for (i = 1; i <= failures && i <= most; i++) print names[i]
}
