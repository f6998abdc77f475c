package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A value is the value of a flag of any type.
type value struct {
	want    string            // completes the sentence "it must be ..."
	set     func(string) bool // false: the text is not what is wanted
	text    string            // the default, as the usage shows it; "" shows none
	isBool  bool
	repeats bool // it may be given more than once
	given   bool
}

// String returns the default.
func (v *value) String() string { return v.text }

// Set stores a value.
func (v *value) Set(s string) error {
	if !v.set(s) {
		return fmt.Errorf("it must be %s", v.want)
	}
	v.given = true
	return nil
}

// IsBoolFlag reports whether the flag may stand without a value.
func (v *value) IsBoolFlag() bool { return v.isBool }

// whole is a whole number. The default is for the usage only: p is left alone
// until the flag is given.
func whole(p *int, least, most, def int) *value {
	v := &value{want: fmt.Sprintf("a whole number from %d to %d", least, most)}
	if def != 0 {
		v.text = strconv.Itoa(def)
	}
	v.set = func(s string) bool {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return false
		}
		*p = n
		return true
	}
	return v
}

// The bounds of durations: engines count milliseconds.
const (
	shortestTime = time.Millisecond
	longestTime  = 240 * time.Hour
)

// span is a duration, with a default as whole has.
func span(p *time.Duration, def time.Duration) *value {
	want := fmt.Sprintf("a duration with its unit from %v to %v, such as 20s or 1m30s", shortestTime, longestTime)
	return &value{want: want, text: def.String(), set: func(s string) bool {
		d, err := time.ParseDuration(s)
		if err != nil || d < shortestTime || d > longestTime {
			return false
		}
		*p = d
		return true
	}}
}

// spanOrNever is a span for which 0 may be given as well; then never is stored.
func spanOrNever(p *time.Duration, never, def time.Duration) *value {
	v := span(p, def)
	v.want = "0 or " + v.want
	positive := v.set
	v.set = func(s string) bool {
		if d, err := time.ParseDuration(s); err == nil && d == 0 {
			*p = never
			return true
		}
		return positive(s)
	}
	return v
}

// text is any text but none.
func text(p *string, want, def string) *value {
	*p = def
	return &value{want: want, text: def, set: func(s string) bool {
		*p = s
		return s != ""
	}}
}

// toggle is on or off.
func toggle(p *bool) *value {
	return &value{want: "true or false", isBool: true, set: func(s string) bool {
		b, err := strconv.ParseBool(s)
		*p = b
		return err == nil
	}}
}

// choice is one of several words. The first is the default.
func choice(p *string, words ...string) *value {
	*p = words[0]
	return &value{want: join(words, "or"), text: words[0], set: func(s string) bool {
		*p = s
		return slices.Contains(words, s)
	}}
}

// list collects the values of a flag that may be repeated.
func list(p *[]string, want string, ok func(string) bool) *value {
	return &value{want: want, repeats: true, set: func(s string) bool {
		*p = append(*p, s)
		return ok(s)
	}}
}

// parse reads flags as fs.Parse does, up to the first argument that is none, and
// returns the arguments that are left. All values are of type *value. Other than with fs.Parse,
// errors say what would be right. They are a usageError, or flag.ErrHelp after the
// usage was printed on stdout.
func parse(fs *flag.FlagSet, args []string, stdout io.Writer) ([]string, error) {
	for len(args) > 0 {
		arg := args[0]
		if len(arg) < 2 || arg[0] != '-' {
			return args, nil
		}
		args = args[1:]
		if arg == "--" {
			return args, nil
		}
		name, text, assigned := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if name == "help" || name == "h" {
			printUsage(fs, stdout)
			return nil, flag.ErrHelp
		}
		f := fs.Lookup(name)
		if f == nil {
			return nil, unknownFlag(fs, name)
		}
		v := f.Value.(*value)
		switch {
		case assigned:
		case v.isBool:
			text = "true"
		case len(args) == 0:
			return nil, usagef("--%s needs a value; it must be %s", name, v.want)
		default:
			text, args = args[0], args[1:]
		}
		if err := v.Set(text); err != nil {
			return nil, usagef("--%s is %q; %v", name, text, err)
		}
	}
	return nil, nil
}

// parseWords is parse for a command with arguments, which flags may stand before,
// between and behind. It returns them.
func parseWords(fs *flag.FlagSet, args []string, stdout io.Writer) (words []string, err error) {
	for len(args) > 0 {
		if args, err = parse(fs, args, stdout); err != nil {
			return nil, err
		}
		if len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}

func unknownFlag(fs *flag.FlagSet, name string) error {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	command, _, _ := strings.Cut(fs.Name(), " ")
	if near, ok := nearest(name, names); ok {
		return usagef("%s has no flag --%s; did you mean --%s?", command, name, near)
	}
	return usagef("%s has no flag --%s; \"weir help %s\" tells those it has", command, name, command)
}

// given reports whether the flag was among the arguments.
func given(fs *flag.FlagSet, name string) bool { return fs.Lookup(name).Value.(*value).given }

// printUsage lists the flags. The name of fs is that of the command, and behind it what
// arguments it takes.
func printUsage(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "usage: weir %s [flags]\n\n", fs.Name())
	fs.VisitAll(func(f *flag.Flag) {
		unit, text := flag.UnquoteUsage(f)
		if unit != "" {
			unit = " " + unit
		}
		fmt.Fprintf(w, "  --%s%s\n        %s", f.Name, unit, text)
		if f.DefValue != "" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
