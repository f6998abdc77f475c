package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func writeConfig(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBenchFile(t *testing.T) {
	path := writeConfig(t, `{
		"scenario": "echo", "url": "ws://127.0.0.1:1/a", "compare": ["ws://127.0.0.1:1/b", "ws://127.0.0.1:1/c"],
		"connections": 100, "rate": 2.5, "duration": "1m", "text": true, "threshold": "p99<5ms", "json": "a.json"
	}`)
	got, err := parseBench([]string{"--config", path, "--connections", "7", "--json", "b.json"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := got.config
	if c.Scenario != "echo" || !slices.Equal(c.URLs, []string{"ws://127.0.0.1:1/a", "ws://127.0.0.1:1/b", "ws://127.0.0.1:1/c"}) ||
		c.Rate != 2.5 || c.Duration != time.Minute || !c.Text || len(got.thresholds) != 1 {
		t.Errorf("of the file: %+v", got)
	}
	if c.Connections != 7 || got.json != "b.json" {
		t.Errorf("of the command line: %+v", got)
	}
	got, err = parseBench([]string{"--compare=ws://d/", "fanout", "ws://e/", "--config=" + path}, nil)
	if c := got.config; err != nil || c.Scenario != "fanout" || !slices.Equal(c.URLs, []string{"ws://e/", "ws://d/"}) || c.Connections != 100 {
		t.Errorf("with words and a list: %+v, %v", got, err)
	}
}

func TestBenchFileThatIsWrong(t *testing.T) {
	tests := []struct{ content, want string }{
		{`{"conections": 5}`, `bench has no flag "conections"; did you mean "connections"?`},
		{`{"zebra": 5}`, `"zebra" is not a flag of bench that a file may have`},
		{`{"config": "x"}`, `"config" is not a flag of bench that a file may have`},
		{`{"connections": "many"}`, `"connections" is "many"; it must be a whole number`},
		{`{"connections": 1.5}`, `"connections" is "1.5"; it must be a whole number`},
		{`{"text": "perhaps"}`, `"text" is "perhaps"; it must be true or false`},
		{`{"duration": 5}`, `"duration" is "5"; it must be a duration`},
		{`{"connections": [1, 2]}`, `"connections" has several values; it must be a whole number`},
		{`{"threshold": ["p99<5ms", "p42<5ms"]}`, `"threshold" is "p42<5ms"; it must be a figure and its bound`},
		{`{"rate": null}`, `"rate" must be text, a number, true, false, or a list of those`},
		{`{"rate": {}}`, `"rate" must be text`},
		{`{"compare": [["ws://a/"]]}`, `"compare" must be text`},
		{`{"scenario": ["echo", "fanout"]}`, `"scenario" must be one text`},
		{"{\n\"rate\": 5,\n}", " must be one JSON object of flags and their values; about line 3 it is not"},
		{"{\"rate\": {\"rate\": 5},\n\"rate\": 5}", `"rate" is there again in line 2; for a flag that may be repeated give a list`},
		{`{"url": "ws://a/", "rate": 5, "url": "ws://b/"}`, `"url" is there again in line 1`},
		{`{"rate": 5, "r\u0061te": 6}`, `"rate" is there again`},
		{`null`, " must be one JSON object"},
		{`[]`, " must be one JSON object"},
		{`{} {}`, " must be one JSON object"},
		{`{}}`, " must be one JSON object"},
		{``, " must be one JSON object"},
	}
	for _, tt := range tests {
		path := writeConfig(t, tt.content)
		code, _, stderr := call(t, "bench", "echo", "ws://127.0.0.1:1/", "--config", path)
		if code != exitUsage || !strings.HasPrefix(stderr, "weir: "+path) || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d, %s; want %q", tt.content, code, stderr, tt.want)
		}
	}
	if code, _, stderr := call(t, "bench", "--config", "/nonexistent"); code != exitUsage || !strings.Contains(stderr, "--config: ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
