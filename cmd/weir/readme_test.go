package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadmeHasTheFlags compares the tables in the README with the usage.
func TestReadmeHasTheFlags(t *testing.T) {
	for _, command := range []string{"serve", "dial"} {
		_, usage, _ := call(t, "help", command)
		got := defaultsByFlag("(?m)^\\| `--(\\S+)` \\|(?: `(\\S+)`)? \\|", readmeSection(t, "weir "+command))
		want := defaultsByFlag(`(?m)^  --(\S+).*\n.*?(?: \(default (\S+)\))?$`, usage)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if text, ok := got[name]; !ok || text != want[name] {
				t.Errorf("%s --%s: the README has default %q, %t; the usage has %q", command, name, text, ok, want[name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: the README has %d flags, the usage %d", command, len(got), len(want))
		}
	}
}

// readmeSection is what the README has under a heading of the second level.
func readmeSection(t *testing.T, heading string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

func defaultsByFlag(row, text string) map[string]string {
	flags := make(map[string]string)
	for _, m := range regexp.MustCompile(row).FindAllStringSubmatch(text, -1) {
		flags[m[1]] = m[2]
	}
	return flags
}
