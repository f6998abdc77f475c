package engine_test

import (
	"fmt"

	"github.com/weirws/weir/frame"
)

const (
	hello = "Hello, world!"
	junk  = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
)

// framingCases are group 1: messages of the sizes where the length field changes its
// form.
func framingCases() (cases []conformanceCase) {
	for kind, message := range []struct {
		op   frame.Opcode
		fill string
	}{{frame.Text, "*"}, {frame.Binary, "\xfe"}} {
		for i, size := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
			payload := repeated(message.fill, size)
			c := echoes(fmt.Sprintf("1.%d.%d", kind+1, i+1),
				send(whole(message.op, payload)).hear(serverFrame{message.op, payload}))
			if i == 7 {
				c = c.chopped(997)
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// pingCases are group 2.
func pingCases() []conformanceCase {
	ping := func(payload string) caseStep {
		return send(whole(frame.Ping, payload)).hear(serverFrame{frame.Pong, payload})
	}
	const unsolicited, payload = "unsolicited pong payload", "ping payload"
	var pings []clientFrame
	var pongs []serverFrame
	for i := range 10 {
		p := fmt.Sprintf("payload-%d", i)
		pings = append(pings, whole(frame.Ping, p))
		pongs = append(pongs, serverFrame{frame.Pong, p})
	}
	full := repeated("\xfe", 125)
	return []conformanceCase{
		echoes("2.1", ping("")),
		echoes("2.2", ping(hello)),
		echoes("2.3", ping(junk)),
		echoes("2.4", ping(full)),
		ends("2.5", frame.CloseProtocolError, send(whole(frame.Ping, full+"\xfe"))),
		echoes("2.6", ping(full)).chopped(1),
		echoes("2.7", send(whole(frame.Pong, ""))),
		echoes("2.8", send(whole(frame.Pong, unsolicited))),
		echoes("2.9", send(whole(frame.Pong, unsolicited), whole(frame.Ping, payload)).hear(serverFrame{frame.Pong, payload})),
		echoes("2.10", send(pings...).hear(pongs...)),
		echoes("2.11", send(pings...).hear(pongs...)).chopped(1),
	}
}

// reservedBitCases are group 3. The bits have a meaning only if an extension was
// negotiated.
func reservedBitCases() []conformanceCase {
	greeting, illegal := whole(frame.Text, hello), frame.CloseProtocolError
	echo, ping := serverFrame{frame.Text, hello}, whole(frame.Ping, "")
	return []conformanceCase{
		ends("3.1", illegal, send(reserved(1, frame.Text, hello))),
		ends("3.2", illegal, send(greeting, reserved(2, frame.Text, hello), ping).hear(echo)),
		ends("3.3", illegal, send(greeting), send(reserved(3, frame.Text, hello)), send(ping).hear(echo)),
		ends("3.4", illegal, send(greeting, reserved(4, frame.Text, hello), ping).hear(echo)).chopped(1),
		ends("3.5", illegal, send(reserved(5, frame.Binary, junk))),
		ends("3.6", illegal, send(reserved(6, frame.Ping, hello))),
		ends("3.7", illegal, send(reserved(7, frame.Close, ""))),
	}
}

// opcodeCases are group 4: opcodes that RFC 6455 section 5.2 reserves.
func opcodeCases() (cases []conformanceCase) {
	greeting, illegal := whole(frame.Text, hello), frame.CloseProtocolError
	echo, ping := serverFrame{frame.Text, hello}, whole(frame.Ping, "")
	for kind, first := range []frame.Opcode{3, 11} {
		id := func(i int) string { return fmt.Sprintf("4.%d.%d", kind+1, i) }
		cases = append(cases,
			ends(id(1), illegal, send(whole(first, ""))),
			ends(id(2), illegal, send(whole(first+1, "reserved opcode payload"))),
			ends(id(3), illegal, send(greeting, whole(first+2, ""), ping).hear(echo)),
			ends(id(4), illegal, send(greeting, whole(first+3, hello), ping).hear(echo)),
			ends(id(5), illegal, send(greeting, whole(first+4, hello), ping).hear(echo)).chopped(1),
		)
	}
	return cases
}

// fragmentationCases are group 5.
func fragmentationCases() []conformanceCase {
	first, last := fragment(frame.Text, "fragment1"), whole(frame.Continuation, "fragment2")
	echo := serverFrame{frame.Text, "fragment1fragment2"}
	ping, pong := whole(frame.Ping, "ping payload"), serverFrame{frame.Pong, "ping payload"}
	const stray = "non-continuation payload"
	strayLast, strayFragment := whole(frame.Continuation, stray), fragment(frame.Continuation, stray)
	greeting := whole(frame.Text, hello)
	illegal := frame.CloseProtocolError
	twice := func(stray clientFrame) caseStep {
		head, tail := fragment(frame.Text, "fragment2"), whole(frame.Continuation, "fragment3")
		return send(stray, head, tail, stray, head, tail)
	}
	return []conformanceCase{
		ends("5.1", illegal, send(fragment(frame.Ping, "fragment1"), last)),
		ends("5.2", illegal, send(fragment(frame.Pong, "fragment1"), last)),
		echoes("5.3", send(first, last).hear(echo)),
		echoes("5.4", send(first), send(last).hear(echo)),
		echoes("5.5", send(first, last).hear(echo)).chopped(1),
		echoes("5.6", send(first, ping, last).hear(pong, echo)),
		echoes("5.7", send(first), send(ping), send(last).hear(pong, echo)),
		echoes("5.8", send(first, ping, last).hear(pong, echo)).chopped(1),
		ends("5.9", illegal, send(strayLast, greeting)),
		ends("5.10", illegal, send(strayLast), send(greeting)),
		ends("5.11", illegal, send(strayLast, greeting)).chopped(1),
		ends("5.12", illegal, send(strayFragment, greeting)),
		ends("5.13", illegal, send(strayFragment), send(greeting)),
		ends("5.14", illegal, send(strayFragment, greeting)).chopped(1),
		ends("5.15", illegal, send(first, last, fragment(frame.Continuation, "fragment3"), whole(frame.Text, "fragment4")).hear(echo)),
		ends("5.16", illegal, twice(fragment(frame.Continuation, "fragment1"))),
		ends("5.17", illegal, twice(whole(frame.Continuation, "fragment1"))),
		ends("5.18", illegal, send(first, whole(frame.Text, "fragment2"))),
		echoes("5.19", fiveFragments()...),
		echoes("5.20", frameByFrame(fiveFragments())...),
	}
}

// fiveFragments is a message with two pings between its fragments. The first must be
// answered before the rest of the message is sent.
func fiveFragments() []caseStep {
	return []caseStep{
		send(fragment(frame.Text, "fragment1"), fragment(frame.Continuation, "fragment2"), whole(frame.Ping, "pongme 1!")).
			hear(serverFrame{frame.Pong, "pongme 1!"}),
		send(fragment(frame.Continuation, "fragment3"), fragment(frame.Continuation, "fragment4"),
			whole(frame.Ping, "pongme 2!"), whole(frame.Continuation, "fragment5")).
			hear(serverFrame{frame.Pong, "pongme 2!"}, serverFrame{frame.Text, "fragment1fragment2fragment3fragment4fragment5"}),
	}
}

// frameByFrame writes each frame of steps by itself. All frames here are short.
func frameByFrame(steps []caseStep) (single []caseStep) {
	for _, s := range steps {
		for rest := s.send; len(rest) > 0; {
			size := 2 + 4 + int(rest[1]&0x7f) // header, masking key, payload
			single = append(single, caseStep{send: rest[:size]})
			rest = rest[size:]
		}
		single[len(single)-1].want = s.want
	}
	return single
}

// automaticFragmentationCases are group 10: a message in fragments of equal size.
func automaticFragmentationCases() []conformanceCase {
	payload := repeated("*", 65536)
	return []conformanceCase{
		echoes("10.1.1", send(fragments(frame.Text, payload, 1300)...).hear(serverFrame{frame.Text, payload})),
	}
}
