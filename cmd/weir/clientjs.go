package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/weirws/weir/handler/ambiorix"
)

// clientJS writes the browser's part of package ambiorix to a file, or to stdout.
func clientJS(_ context.Context, args []string, stdout, _ io.Writer) error {
	var module, types, force bool
	fs := flag.NewFlagSet("client-js PATH", flag.ContinueOnError)
	fs.Var(toggle(&module), "module", "write the ES module, ambiorix.mjs, not the classic script")
	fs.Var(toggle(&types), "types", "write the TypeScript declarations of the module, ambiorix.d.mts")
	fs.Var(toggle(&force), "force", "replace a file that exists")
	words, err := parseWords(fs, args, stdout)
	switch {
	case err != nil:
		return err
	case len(words) == 0:
		return usagef("client-js needs the path of the file to write, such as static/ambiorix.js, or - for the standard output")
	case len(words) > 1:
		return usagef("client-js writes one file, not %q as well", words[1])
	case module && types:
		return usagef("--module and --types are two files; write one at a time")
	}
	content := ambiorix.Script()
	switch {
	case module:
		content = ambiorix.Module()
	case types:
		content = ambiorix.Types()
	}
	if words[0] == "-" {
		_, err = stdout.Write(content)
		return err
	}
	if err := writeNew(force, newFile{words[0], content, 0o644}); err != nil {
		return fmt.Errorf("cannot write the script: %w", err)
	}
	return nil
}
