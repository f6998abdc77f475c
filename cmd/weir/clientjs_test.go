package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirws/weir/handler/ambiorix"
)

func TestClientJS(t *testing.T) {
	tests := []struct {
		flag string
		want []byte
	}{
		{"--force", ambiorix.Script()},
		{"--module", ambiorix.Module()},
		{"--types", ambiorix.Types()},
	}
	for _, tt := range tests {
		t.Run(tt.flag, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "client")
			if code, stdout, stderr := call(t, "client-js", path, tt.flag); code != exitOK || stdout+stderr != "" {
				t.Fatalf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != string(tt.want) {
				t.Errorf("wrote %d bytes, %v; want %d", len(got), err, len(tt.want))
			}
			if code, stdout, stderr := call(t, "client-js", tt.flag, "-"); code != exitOK || stdout != string(tt.want) || stderr != "" {
				t.Errorf("exit code %d, %d bytes on stdout, stderr %q; want %d bytes", code, len(stdout), stderr, len(tt.want))
			}
		})
	}
}

func TestClientJSKeepsWhatThereIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ambiorix.js")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, args, want string }{
		{"a file", path, "weir: cannot write the script: " + path + " exists already; to replace it, say --force\n"},
		{"a directory", "--force " + dir, "weir: cannot write the script: " + dir + " is a directory; name a file in it\n"},
		{"no directory", filepath.Join(dir, "none", "x.js"), "weir: cannot write the script: open "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := call(t, append([]string{"client-js"}, strings.Fields(tt.args)...)...)
			if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, tt.want) {
				t.Errorf("exit code %d, stdout %q, said %q; want %d, %q", code, stdout, stderr, exitFailed, tt.want)
			}
		})
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "mine" {
		t.Errorf("the file has %q, %v", content, err)
	}
	if code, _, stderr := call(t, "client-js", "--force", path); code != exitOK {
		t.Errorf("exit code %d, said %s", code, stderr)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != string(ambiorix.Script()) {
		t.Errorf("the file has %d bytes, %v", len(content), err)
	}
}

func TestClientJSWithWrongArguments(t *testing.T) {
	for args, want := range map[string]string{
		"":                     "client-js needs the path of the file to write, such as static/ambiorix.js, or - for the standard output\n",
		"a b":                  `client-js writes one file, not "b" as well` + "\n",
		"a --module --types":   "--module and --types are two files; write one at a time\n",
		"a --modules":          "client-js has no flag --modules; did you mean --module?\n",
		"--module=perhaps a.j": `--module is "perhaps"; it must be true or false` + "\n",
	} {
		code, stdout, stderr := call(t, append([]string{"client-js"}, strings.Fields(args)...)...)
		if code != exitUsage || stdout != "" || stderr != "weir: "+want {
			t.Errorf("%q: exit code %d, stdout %q, said %q; want %d, %q", args, code, stdout, stderr, exitUsage, want)
		}
	}
}
