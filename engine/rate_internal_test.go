package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weirws/weir/handler"
)

// Whenever somebody looks, over no span of time more was sent than the limit allows and
// a quarter of a second's worth and one message; and who always has something to send gets nearly
// that.
func TestRate(t *testing.T) {
	const largest, span = 5000, 100_000 // bytes, ms
	for _, limit := range []handler.Rate{{Messages: 1}, {Messages: 7}, {Messages: 1000}, {Bytes: 100}, {Bytes: 1 << 20}, {Messages: 50, Bytes: 20_000}} {
		r := rand.New(rand.NewPCG(uint64(limit.Messages), uint64(limit.Bytes)))
		start := uint32(math.MaxUint32 - span/2) // the clock wraps on the way
		rt := newRate(limit, start)
		messages, bytes, passed := 0, 0, uint32(0)
		for passed < span {
			passed += uint32(5 + r.IntN(245))
			rt.advance(start + passed)
			for rt.allows() {
				size := 1 + r.IntN(largest)
				rt.spend(size)
				messages++
				bytes += size
			}
			mostMessages := 1 + limit.Messages*int(passed+creditMillis)/1000
			mostBytes := 1 + limit.Bytes*int(passed+creditMillis)/1000 + largest
			if limit.Messages > 0 && messages > mostMessages || limit.Bytes > 0 && bytes > mostBytes {
				t.Fatalf("%+v: %d messages of %d bytes after %d ms; want at most %d or %d", limit, messages, bytes, passed, mostMessages, mostBytes)
			}
		}
		messageShare := float64(messages) / (float64(limit.Messages) * span / 1000)
		byteShare := float64(bytes) / (float64(limit.Bytes) * span / 1000)
		if best := math.Max(zeroIfInf(messageShare), zeroIfInf(byteShare)); best < 0.95 {
			t.Errorf("%+v: %d messages of %d bytes in %d ms, %.2f of what is allowed", limit, messages, bytes, span, best)
		}
	}
}

func zeroIfInf(x float64) float64 {
	if math.IsInf(x, 0) {
		return 0
	}
	return x
}

// However long nothing was looked at, the credit is bounded.
func TestRateAfterSilence(t *testing.T) {
	for _, limit := range []int{1, 1000, math.MaxInt32, math.MaxInt} {
		rt := newRate(handler.Rate{Messages: limit, Bytes: limit}, 5)
		rt.spend(1 << 20)
		rt.advance(4) // 49 days later
		if want := mostCredit(limit); rt.messages != want || rt.bytes != want || !rt.allows() {
			t.Errorf("limit %d: credit of %d and %d; want %d", limit, rt.messages, rt.bytes, want)
		}
	}
}

// After a message that was larger than the limit the next one is due when the time for it
// has passed, whether or not anybody looked meanwhile.
func TestRateAfterLargeMessage(t *testing.T) {
	const size, perSecond = 1 << 20, 1 << 10
	for _, steps := range []int{1, 7, 5000} {
		rt := newRate(handler.Rate{Bytes: perSecond}, 0)
		rt.spend(size)
		const due = (size*1000 - 1000 - perSecond*creditMillis) / perSecond // ms
		for i := range steps {
			rt.advance(uint32(due * (i + 1) / steps))
		}
		if rt.allows() {
			t.Errorf("in %d steps: the next message is allowed after %d ms", steps, due)
		}
		rt.advance(due + 1)
		if !rt.allows() {
			t.Errorf("in %d steps: no message is allowed after %d ms", steps, due+1)
		}
	}
}
