package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// A benchFile is a file for --config: its scenario, its URL, and values of flags by their
// names.
type benchFile struct {
	path          string
	scenario, url string
	flags         map[string][]string
}

// readBenchFile reads a file: an object whose values are text, numbers, true or false, or lists
// of those for flags that may be repeated.
func readBenchFile(path string) (*benchFile, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("--config: %v", err)
	}
	f := &benchFile{path: path, flags: make(map[string][]string)}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	line := func(offset int64) int { return 1 + bytes.Count(content[:offset], []byte("\n")) }
	var keys map[string]any
	err = decoder.Decode(&keys)
	if _, behind := decoder.Token(); err != nil || keys == nil || behind != io.EOF {
		offset := decoder.InputOffset()
		if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = wrong.Offset
		}
		return nil, usagef("%s must be one JSON object of flags and their values; about line %d it is not", path, line(offset))
	}
	if key, offset, ok := repeatedKey(content); ok {
		return nil, usagef("%s: %q is there again in line %d; for a flag that may be repeated give a list", path, key, line(offset))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		values, ok := flagTexts(keys[key])
		if !ok {
			return nil, usagef("%s: %q must be text, a number, true, false, or a list of those", path, key)
		}
		switch key {
		case "scenario":
			f.scenario, ok = single(values)
		case "url":
			f.url, ok = single(values)
		default:
			f.flags[key] = values
		}
		if !ok {
			return nil, usagef("%s: %q must be one text", path, key)
		}
	}
	return f, nil
}

// repeatedKey finds a key that a JSON object has twice, and where that ends the second time.
func repeatedKey(object []byte) (key string, offset int64, found bool) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, _ = decoder.Token() // the brace: that this is an object is known
	seen := make(map[string]bool)
	for decoder.More() {
		token, _ := decoder.Token()
		key, offset = token.(string), decoder.InputOffset()
		if seen[key] {
			return key, offset, true
		}
		seen[key] = true
		_ = decoder.Decode(new(json.RawMessage))
	}
	return "", 0, false
}

func single(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	return values[0], values[0] != ""
}

// flagTexts is a value of JSON as one would write it on the command line.
func flagTexts(v any) (texts []string, ok bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case json.Number, bool:
		return []string{fmt.Sprint(v)}, true
	case []any:
		for _, item := range v {
			text, ok := flagTexts(item)
			if _, nested := item.([]any); nested || !ok {
				return nil, false
			}
			texts = append(texts, text...)
		}
		return texts, len(texts) > 0
	}
	return nil, false
}

// apply sets the flags that the command line has not.
func (f *benchFile) apply(fs *flag.FlagSet) error {
	var names []string
	fs.VisitAll(func(fl *flag.Flag) { names = append(names, fl.Name) })
	for _, name := range slices.Sorted(maps.Keys(f.flags)) {
		fl := fs.Lookup(name)
		if fl == nil || name == "config" {
			if near, ok := nearest(name, names); ok && near != name {
				return usagef("%s: bench has no flag %q; did you mean %q?", f.path, name, near)
			}
			return usagef("%s: %q is not a flag of bench that a file may have", f.path, name)
		}
		v := fl.Value.(*value)
		if v.given {
			continue
		}
		if len(f.flags[name]) > 1 && !v.repeats {
			return usagef("%s: %q has several values; it must be %s", f.path, name, v.want)
		}
		for _, text := range f.flags[name] {
			if err := v.Set(text); err != nil {
				return usagef("%s: %q is %q; %v", f.path, name, text, err)
			}
		}
	}
	return nil
}

// words completes those of the command line, which win.
func (f *benchFile) words(given []string) []string {
	if len(given) == 0 && f.scenario != "" {
		given = append(given, f.scenario)
	}
	if len(given) == 1 && f.url != "" {
		given = append(given, f.url)
	}
	return given
}
