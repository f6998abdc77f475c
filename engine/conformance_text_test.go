package engine_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirws/weir/frame"
)

// greek is κόσμε, in eleven octets.
const greek = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

// textCases are group 6.
func textCases() []conformanceCase {
	const (
		middle  = "middle frame payload"
		left    = "Hello-µ@ßöä"
		right   = "üàá-UTF-8!!"
		invalid = greek + "\xed\xa0\x80edited" // a surrogate
	)
	echo := func(id, payload string, frames ...clientFrame) conformanceCase {
		return echoes(id, send(frames...).hear(serverFrame{frame.Text, payload}))
	}
	cases := []conformanceCase{
		echo("6.1.1", "", whole(frame.Text, "")),
		echo("6.1.2", "", fragment(frame.Text, ""), fragment(frame.Continuation, ""), whole(frame.Continuation, "")),
		echo("6.1.3", middle, fragment(frame.Text, ""), fragment(frame.Continuation, middle), whole(frame.Continuation, "")),
		echo("6.2.1", left+right, whole(frame.Text, left+right)),
		echo("6.2.2", left+right, fragment(frame.Text, left), whole(frame.Continuation, right)),
		echo("6.2.3", left+right, fragments(frame.Text, left+right, 1)...),
		echo("6.2.4", greek, fragments(frame.Text, greek, 1)...),
		ends("6.3.1", frame.CloseInvalidPayload, send(whole(frame.Text, invalid))),
		ends("6.3.2", frame.CloseInvalidPayload, send(fragments(frame.Text, invalid, 1)...)),
	}
	cases = append(cases, failFastCases()...)
	for i, group := range textSequences {
		for j, s := range group.sequences {
			id := fmt.Sprintf("6.%d.%d", i+5, j+1)
			if group.valid(j) {
				cases = append(cases, echo(id, s, whole(frame.Text, s)))
			} else {
				cases = append(cases, ends(id, frame.CloseInvalidPayload, send(whole(frame.Text, s))))
			}
		}
	}
	return cases
}

// failFastCases are group 6.4: the 13th octet makes the text invalid, and the
// connection fails when that has come, though the message, and in the last two
// cases the frame, is not complete. That the octets before it are accepted is shown
// by the pong between the fragments; a frame cannot be interrupted.
func failFastCases() []conformanceCase {
	const (
		beyond  = "\xf4\x90\x80\x80" // U+110000
		invalid = greek + beyond + "edited"
		known   = len(greek) + 2 // octets after which that is known
	)
	ping, pong := whole(frame.Ping, ""), serverFrame{frame.Pong, ""}
	frames := func(first, second string) []caseStep {
		return []caseStep{
			send(fragment(frame.Text, first), ping).hear(pong),
			send(fragment(frame.Continuation, second)),
		}
	}
	octets := send(whole(frame.Text, invalid)).send
	start := len(octets) - len(invalid) // of the payload
	chops := func(first, second int) []caseStep {
		return []caseStep{{send: octets[:start+first]}, {send: octets[start+first : start+second]}}
	}
	illegal := frame.CloseInvalidPayload
	return []conformanceCase{
		ends("6.4.1", illegal, frames(greek, beyond)...),
		ends("6.4.2", illegal, frames(invalid[:known-1], invalid[known-1:known])...),
		ends("6.4.3", illegal, chops(len(greek), len(greek+beyond))...),
		ends("6.4.4", illegal, chops(known-1, known)...),
	}
}

// A sequenceGroup is octet sequences, of which valid says which are UTF-8.
type sequenceGroup struct {
	valid     func(i int) bool
	sequences []string
}

func all(int) bool  { return true }
func none(int) bool { return false }

// textSequences are groups 6.5 to 6.23, from Markus Kuhn's UTF-8 stress test.
var textSequences = []sequenceGroup{
	// 6.5: valid text.
	{all, []string{"hello\x24world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world", greek}},
	// 6.6: all prefixes of valid text.
	{func(i int) bool { return slices.Contains([]int{2, 5, 7, 9, 11}, i+1) }, prefixes(greek)},
	// 6.7: the first sequence of each length.
	{all, []string{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"}},
	// 6.8: and of those that are too long.
	{none, []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"}},
	// 6.9: the last sequence of each length.
	{all, []string{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}},
	// 6.10: and of those that are too long.
	{none, []string{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"}},
	// 6.11: other borders, the last one beyond U+10FFFF.
	{func(i int) bool { return i < 4 }, []string{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80"}},
	// 6.12: unexpected continuation octets.
	{none, []string{
		"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf",
		each(0x80, 0xbe, ""),
	}},
	// 6.13: lonely first octets.
	{none, []string{each(0xc0, 0xde, " "), each(0xe0, 0xee, " "), each(0xf0, 0xf6, " "), each(0xf8, 0xfa, " "), each(0xfc, 0xfc, " ")}},
	// 6.14: the last octet is missing.
	{none, incomplete},
	// 6.15: many such ones.
	{none, []string{strings.Join(incomplete, "")}},
	// 6.16: impossible octets.
	{none, []string{"\xfe", "\xff", "\xfe\xfe\xff\xff"}},
	// 6.17: overlong forms of an ASCII character.
	{none, []string{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"}},
	// 6.18: the largest overlong forms.
	{none, []string{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"}},
	// 6.19: overlong forms of NUL.
	{none, []string{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"}},
	// 6.20: UTF-16 surrogates.
	{none, []string{
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
	}},
	// 6.21: and in pairs.
	{none, []string{
		"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
		"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
	}},
	// 6.22: noncharacters, which are valid.
	{all, noncharacters()},
	// 6.23: specials such as the replacement character.
	{all, []string{"\xef\xbf\xb9", "\xef\xbf\xba", "\xef\xbf\xbb", "\xef\xbf\xbc", "\xef\xbf\xbd", "\xef\xbf\xbe", "\xef\xbf\xbf"}},
}

var incomplete = []string{
	"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
	"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
}

// prefixes are the first octet of s, the first two, and so on to all.
func prefixes(s string) (p []string) {
	for n := range len(s) {
		p = append(p, s[:n+1])
	}
	return p
}

// each is the octets from first to last, behind each of them a separator.
func each(first, last byte, separator string) string {
	var b strings.Builder
	for c := first; c <= last; c++ {
		b.WriteByte(c)
		b.WriteString(separator)
	}
	return b.String()
}

// noncharacters are U+FFFE and U+FFFF, and those two of the other planes in the
// order of their octets.
func noncharacters() (s []string) {
	for plane := range rune(17) {
		s = append(s, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return s
}
