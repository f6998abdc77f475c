package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// noteLength bounds what a note quotes, in characters.
const noteLength = 200

// markdown is a table of all medians, a line for each scenario, and one for each
// scenario with everything.
func markdown(reports []report) []byte {
	var out bytes.Buffer
	names := targetNames(reports)
	fmt.Fprintf(&out, "| | | %s |\n|---|---|%s\n", strings.Join(names, " | "), strings.Repeat("--:|", len(names)))
	var notes []string
	for _, r := range reports {
		fmt.Fprintf(&out, "| %s | %s, %s |", r.About, r.Figure.About, r.Figure.Unit)
		for _, name := range names {
			fmt.Fprintf(&out, " %s |", r.cell(name, &notes))
		}
		out.WriteByte('\n')
	}
	out.WriteByte('\n')
	for i, note := range notes {
		fmt.Fprintf(&out, "%d. %s\n", i+1, note)
	}
	for _, r := range reports {
		fmt.Fprintf(&out, "\n### %s\n\n%s; %s.\n\n", r.Scenario, r.About, r.Figure.About)
		fmt.Fprintf(&out, "| %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("--:|", len(columns)-1))
		for _, s := range r.Targets {
			fmt.Fprintf(&out, "| %s |\n", strings.Join(r.row(s), " | "))
		}
	}
	return out.Bytes()
}

// targetNames are the names of all targets, in the order in which they come.
func targetNames(reports []report) []string {
	var names []string
	for _, r := range reports {
		for _, s := range r.Targets {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// cell is the median of a target, or a dash with the number of a note that says
// why there is none.
func (r report) cell(name string, notes *[]string) string {
	at := slices.IndexFunc(r.Targets, func(s series) bool { return s.Name == name })
	if at < 0 {
		return "—"
	}
	if s := r.Targets[at]; len(s.Rounds) > 0 {
		_, middle, _ := s.spread(r.Figure)
		return digits(middle)
	}
	why := strings.Join(strings.Fields(r.Targets[at].Failure), " ")
	*notes = append(*notes, fmt.Sprintf("%s, %s: %.*s", r.Scenario, name, noteLength, why))
	return fmt.Sprintf("— (%d)", len(*notes))
}
