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
