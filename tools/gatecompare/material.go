package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/gate/gatetest"
)

// place is where ordinary material lies on most machines. What is not there is left
// out.
type place struct {
	kind  string
	roots []string
	match func(path string) bool
}

func ext(exts ...string) func(string) bool {
	return func(path string) bool { return slices.Contains(exts, filepath.Ext(path)) }
}

func any(string) bool { return true }

// apart leaves out files whose subject is secrets: they hold examples of them.
func apart(path string) bool {
	for _, about := range []string{"gitleaks", "gosec", "gatetest", "testdata/secret", "/gate/"} {
		if strings.Contains(path, about) {
			return false
		}
	}
	return true
}

func places() []place {
	goroot, cache := goenv("GOROOT"), goenv("GOMODCACHE")
	return []place{
		{"Go source, GOROOT", []string{goroot + "/src"}, ext(".go")},
		{"Go source, module cache", []string{cache}, ext(".go")},
		{"assembly, GOROOT", []string{goroot + "/src"}, ext(".s")},
		{"GOROOT, all else", []string{goroot + "/src", goroot + "/test", goroot + "/api", goroot + "/doc"}, func(p string) bool { return !ext(".go", ".s")(p) }},
		{"READMEs and Markdown", []string{cache}, ext(".md")},
		{"YAML, JSON, TOML", []string{cache, goroot}, ext(".yml", ".yaml", ".json", ".toml")},
		{"go.sum", []string{cache}, func(p string) bool { return strings.HasSuffix(p, "go.sum") }},
		{"JavaScript, CSS, HTML", []string{goroot, cache, "/usr/lib", "/usr/share"}, ext(".js", ".css", ".html", ".map", ".mjs", ".ts")},
		{"Python, its library", []string{"/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/python3.12", "/usr/lib/python3.13"}, ext(".py")},
		{"Perl, its library", []string{"/usr/share/perl", "/usr/share/perl5"}, any},
		{"documentation and licences", []string{"/usr/share/doc", "/usr/share/common-licenses"}, any},
		{"manuals, compressed", []string{"/usr/share/man"}, any},
		{"words", []string{"/usr/share/dict"}, any},
		{"logs of packages", []string{"/var/log", "/var/lib/dpkg/info"}, any},
		{"programs", []string{"/usr/bin", "/usr/sbin"}, any},
		{"shared libraries", []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"}, func(p string) bool { return strings.Contains(p, ".so") }},
		{"images and archives", []string{goroot, cache, "/usr/share"}, ext(".png", ".jpg", ".gif", ".gz", ".zip", ".xz", ".bz2")},
	}
}

func goenv(name string) string {
	out, _ := exec.Command("go", "env", name).Output() // without Go there is no such material
	return strings.TrimSpace(string(out))
}

// collect reads files of a place until there are so many bytes: any of them, in an
// order of the seed's, since the first by name are of a kind. Of each it takes the
// first part only, so that no single file makes the figure.
func (p place) collect(seed uint64, size int) []gatetest.Sample {
	const most = 1 << 20 // of a file
	paths := p.files()
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	var samples []gatetest.Sample
	for _, path := range paths {
		if size <= 0 {
			break
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it went, or is not ours to read
		}
		text = text[:min(len(text), most)]
		size -= len(text)
		samples = append(samples, gatetest.Sample{Kind: p.kind, How: path, Text: text})
	}
	return samples
}

func (p place) files() []string {
	var paths []string
	for _, root := range p.roots {
		if root == "" {
			continue
		}
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error { // what cannot be listed is left out
			if err == nil && d.Type().IsRegular() && p.match(path) && apart(path) {
				paths = append(paths, path)
			}
			return nil
		})
	}
	return paths
}

// foundMaterial counts findings per megabyte. What is on a machine may hold what
// has the form of a secret and more: keys of tests, in PEM, are counted apart.
func foundMaterial(b *strings.Builder, o options, engines []engine) {
	g, k := engines[0].name(), engines[1].name()
	fmt.Fprint(b, "## Ordinary material, found on a machine\n\nFindings of severity medium or above in what lies on a Debian with Go, and per megabyte. Private keys of tests are counted apart: they are private keys. Some of the rest is what a program's tests or manual show as an example, and it has the form of a secret.\n\n")
	t := table{{"material", "MB", g, k, g + " per MB", k + " per MB", "files with one, " + g, "files with one, " + k, "private keys, " + g, "private keys, " + k}}
	byRule := tally{}
	for _, p := range places() {
		samples := p.collect(o.seed, o.megabytes<<20)
		if len(samples) == 0 {
			continue
		}
		n, keys, with, size := map[string]int{}, map[string]int{}, map[string]int{}, 0
		for i := range samples {
			s := &samples[i]
			size += len(s.Text)
			for _, e := range engines {
				before := n[e.name()]
				for _, h := range e.find(s) {
					switch {
					case h.minor:
					case h.rule == "private-key":
						keys[e.name()]++
					default:
						n[e.name()]++
						byRule.add(e.name(), h.rule, 1)
						if o.shows(e, h.rule) {
							fmt.Printf("%s in %s: %.200q\n", h.rule, s.How, s.Text[max(0, h.offset-40):min(int64(len(s.Text)), h.offset+h.length+10)])
						}
					}
				}
				if n[e.name()] > before {
					with[e.name()]++
				}
			}
		}
		mb := float64(size) / 1e6
		t = append(t, []string{p.kind, fmt.Sprintf("%.1f", mb), fmt.Sprint(n[g]), fmt.Sprint(n[k]),
			fmt.Sprintf("%.2f", float64(n[g])/mb), fmt.Sprintf("%.2f", float64(n[k])/mb), fmt.Sprint(with[g]), fmt.Sprint(with[k]), fmt.Sprint(keys[g]), fmt.Sprint(keys[k])})
	}
	t.write(b)
	for _, e := range []string{g, k} {
		fmt.Fprintf(b, "By rule, %s: %s.\n\n", e, cmp.Or(most(byRule[e]), "none"))
	}
}

// most is the rules that found most.
func most(of map[string]int) string {
	const shown = 15
	keys := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(of[b]-of[a], strings.Compare(a, b)) })
	var parts []string
	for _, key := range keys[:min(shown, len(keys))] {
		parts = append(parts, fmt.Sprintf("%s %d", key, of[key]))
	}
	return strings.Join(parts, ", ")
}

func (c *counts) materialTable(b *strings.Builder, title string, engines []engine, size map[string]int, wrong tally) {
	g, k := engines[0].name(), engines[1].name()
	fmt.Fprintf(b, "## %s\n\nFindings of severity medium or above, where nothing is a secret.\n\n", title)
	t := table{{"material", "kB", g, k}}
	for _, kind := range sorted(size) {
		t = append(t, []string{kind, fmt.Sprint(size[kind] / 1000), fmt.Sprint(wrong[g][kind]), fmt.Sprint(wrong[k][kind])})
	}
	t.write(b)
}
