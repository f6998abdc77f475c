package bench

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestStamp(t *testing.T) {
	for _, size := range []int{stampBytes, stampBytes + 1, 128, 70000} {
		m := newStamper(7, size)
		want := stamp{sender: 1<<32 - 1, number: 60, due: time.Now().UnixNano()}
		message := m.append(nil, want)
		if len(message) != size {
			t.Fatalf("%d bytes, want %d", len(message), size)
		}
		document, err := json.Marshal(map[string]string{"data": string(message), "by": "wei"})
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range [][]byte{message, document} {
			if got, at, known, whole := m.find(payload); got != want || !known || !whole || string(payload[at:at+4]) != "weir" {
				t.Errorf("find(%.60q) = %+v, %d, %t, %t", payload, got, at, known, whole)
			}
		}
		other := newStamper(8, size)
		if _, _, known, _ := other.find(message); known {
			t.Error("a message of another run was taken for one of this")
		}
		for i := range message[:min(size, 200)] {
			message[i] ^= 1
			if _, _, known, whole := m.find(message); known && whole {
				t.Errorf("%d bytes: byte %d is spoilt, which was not seen", size, i)
			}
			message[i] ^= 1
		}
		if _, _, known, whole := m.find(message[:size-1]); known && whole {
			t.Errorf("%d bytes: the last one is missing, which was not seen", size)
		}
	}
}

func TestStampDoesNotAllocate(t *testing.T) {
	m := newStamper(7, 128)
	buffer := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() {
		buffer = m.append(buffer[:0], stamp{1, 2, 3})
		if _, _, known, _ := m.find(buffer); !known {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHistogram(t *testing.T) {
	var a, b Histogram
	for i := range int64(1000) {
		a.Record(i * 1000)
	}
	b.Record(int64(2 * time.Hour))
	b.Record(-5)
	a.Merge(b)
	a.Merge(Histogram{})
	text, err := json.Marshal(map[string]Histogram{"full": a, "empty": {}})
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]Histogram
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]Histogram{"original": a, "decoded": decoded["full"]} {
		got := fmt.Sprint(h.Count(), h.At(0), h.At(50).Round(10*time.Microsecond), h.At(100).Round(10*time.Second))
		if want := "1002 0s 500µs 1h0m0s"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if e := decoded["empty"]; e.Count() != 0 || e.At(99) != 0 || e.Mean() != 0 {
		t.Errorf("the empty one has %d", e.Count())
	}
	var bad Histogram
	if err := json.Unmarshal([]byte(`"nonsense"`), &bad); err == nil {
		t.Error("nonsense was decoded")
	}
}

// TestHistogramOfFew has one duration in n that is long: what p of 100 do not exceed is short only
// if at least so many are.
func TestHistogramOfFew(t *testing.T) {
	for _, tt := range []struct {
		n       int
		percent float64
		isLong  bool
	}{
		{60, 99, true}, {90, 99, true}, {99, 99, true}, {100, 99, false}, {101, 99, false},
		{600, 99.9, true}, {999, 99.9, true}, {1000, 99.9, false}, {2000, 99.95, false}, {2, 50, false}, {3, 66, false}, {3, 67, true}, {1, 1, true},
	} {
		var h Histogram
		for range tt.n - 1 {
			h.Record(int64(time.Millisecond))
		}
		h.Record(int64(time.Second))
		if got := h.At(tt.percent); got > 500*time.Millisecond != tt.isLong {
			t.Errorf("of %d, %v %% are within %v", tt.n, tt.percent, got)
		}
	}
	// Each of a thousand durations is one in a thousand, whatever its share is in binary.
	var h Histogram
	for i := range int64(1000) {
		h.Record(i + 1)
	}
	for i := range 1000 {
		if got, want := h.At(float64(i+1)/10), time.Duration(i+1); got != want {
			t.Errorf("%v %% of 1000 are within %d, want %d", float64(i+1)/10, got, want)
		}
	}
}
