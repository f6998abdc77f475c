package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestReadmeHasTheFlags compares the tables in the README with the usage.
func TestReadmeHasTheFlags(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, usage, _ := call(t, "help", "serve")
	got := defaultsByFlag("(?m)^\\| `--(\\S+)` \\|(?: `(\\S+)`)? \\|", string(readme))
	want := defaultsByFlag(`(?m)^  --(\S+).*\n.*?(?: \(default (\S+)\))?$`, usage)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if text, ok := got[name]; !ok || text != want[name] {
			t.Errorf("--%s: the README has default %q, %t; the usage has %q", name, text, ok, want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the README has %d flags, the usage %d", len(got), len(want))
	}
}

func defaultsByFlag(row, text string) map[string]string {
	flags := make(map[string]string)
	for _, m := range regexp.MustCompile(row).FindAllStringSubmatch(text, -1) {
		flags[m[1]] = m[2]
	}
	return flags
}
