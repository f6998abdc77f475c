package main

import (
	"bytes"
	"fmt"
	"testing"
)

func TestStream(t *testing.T) {
	for _, payloadBytes := range []int{0, 1, 125, 126, 65535, 65536} {
		for _, inFlight := range []int{1, 2, variants, 3*variants + 1} {
			t.Run(fmt.Sprintf("%d B, %d in flight", payloadBytes, inFlight), func(t *testing.T) {
				s := newStream(options{payloadBytes: payloadBytes, inFlight: inFlight})
				if s.burst < 1 || s.burst > inFlight {
					t.Fatalf("burst of %d", s.burst)
				}
				for i := range 2 * variants {
					for n := 1; n <= s.burst; n++ {
						checkBurst(t, s, uint64(i), n)
					}
				}
			})
		}
	}
}

// checkBurst compares the requests and the replies of messages i to i+n-1 with
// ones that are encoded one by one.
func checkBurst(t *testing.T, s stream, i uint64, n int) {
	t.Helper()
	var requests, replies []byte
	for m := range uint64(n) {
		v := int((i + m) % variants)
		payload := content(s.replyBytes-header(s.replyBytes), v)
		requests = appendFrame(requests, 0x2, payload, maskingKey(byte(v)))
		replies = appendFrame(replies, 0x2, payload, nil)
	}
	if !bytes.Equal(s.from(i, n), requests) {
		t.Errorf("from(%d, %d) is not those requests", i, n)
	}
	at := int(i%variants) * s.replyBytes
	if !s.matches(at, replies) {
		t.Errorf("matches(%d, the replies to %d messages) = false", at, n)
	}
	for _, spoilt := range []int{0, len(replies) / 2, len(replies) - 1} {
		replies[spoilt] ^= 1
		if s.matches(at, replies) {
			t.Errorf("matches(%d, replies with byte %d spoilt) = true", at, spoilt)
		}
		replies[spoilt] ^= 1
	}
}

// header is the size of the header in a server frame of n bytes.
func header(n int) int {
	switch {
	case n < 2+126:
		return 2
	case n < 4+65536:
		return 4
	}
	return 10
}
