package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// addEarlier takes one value of the from flag.
func (o *options) addEarlier(file string) error {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return err
	}
	var reports []report
	if err := json.Unmarshal(text, &reports); err != nil {
		return fmt.Errorf("%s is not a file that --json wrote: %w", file, err)
	}
	for _, r := range reports {
		at := slices.IndexFunc(o.earlier, func(e report) bool { return e.Scenario == r.Scenario })
		if at < 0 {
			o.earlier = append(o.earlier, r)
			continue
		}
		o.earlier[at].add(r)
	}
	return nil
}

// add puts the rounds of another run of the same scenario behind those of r.
func (r *report) add(other report) {
	for _, s := range other.Targets {
		at := slices.IndexFunc(r.Targets, func(t series) bool { return t.Name == s.Name })
		if at < 0 {
			r.Targets = append(r.Targets, s)
			continue
		}
		r.Targets[at].Rounds = append(r.Targets[at].Rounds, s.Rounds...)
		if r.Targets[at].Failure == "" {
			r.Targets[at].Failure = s.Failure
		}
	}
}
