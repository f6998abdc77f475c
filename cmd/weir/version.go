package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version prints what this program was built from.
func version(_ context.Context, args []string, stdout, _ io.Writer) error {
	rest, err := parse(flag.NewFlagSet("version", flag.ContinueOnError), args, stdout)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("version takes no argument, such as %q", rest[0])
	}
	info, _ := debug.ReadBuildInfo()
	_, err = fmt.Fprintf(stdout, "weir %s %s %s/%s\n", versionOf(info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// versionOf is the module's version and, if it is known, the commit. info may be nil.
func versionOf(info *debug.BuildInfo) string {
	if info == nil {
		return "(unknown)"
	}
	text := cmp.Or(info.Main.Version, "(devel)")
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; commit != "" {
		text += " (commit " + commit[:min(12, len(commit))]
		if at := settings["vcs.time"]; at != "" {
			text += " of " + at
		}
		if settings["vcs.modified"] == "true" {
			text += ", modified"
		}
		text += ")"
	}
	return text
}
