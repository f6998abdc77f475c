package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	longestLatency    = int64(time.Hour)
	significantDigits = 3
)

// A Histogram counts durations, exact to one part in a thousand. The zero value is
// empty. It is not safe for concurrent use. As JSON it is the compressed form of
// HdrHistogram, in base64, which other tools read as well.
type Histogram struct {
	h *hdrhistogram.Histogram // nil: empty
}

// Record counts one duration. What lies outside 0 to an hour counts as the bound.
func (h *Histogram) Record(nanoseconds int64) {
	if h.h == nil {
		h.h = newHDR()
	}
	_ = h.h.RecordValue(min(max(0, nanoseconds), longestLatency)) // fails only out of range
}

func newHDR() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longestLatency, significantDigits)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other Histogram) {
	if other.h == nil {
		return
	}
	if h.h == nil {
		h.h = newHDR()
	}
	h.h.Merge(other.h)
}

// Count is how many durations were counted.
func (h Histogram) Count() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// At is the shortest of the durations that at least percent of those counted do not exceed; 0 if
// there are none.
func (h Histogram) At(percent float64) time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	// hdrhistogram rounds a rank that is not whole, and a large share of few durations may
	// round down to less: it gets the percentage of the whole rank above.
	const tolerated = 1e-9 // of a rank, for what 99.9/100 is in binary
	rank := math.Ceil(percent/100*float64(n) - tolerated)
	return time.Duration(h.h.ValueAtPercentile(100 * rank / float64(n)))
}

// Mean is the average; 0 if nothing was counted.
func (h Histogram) Mean() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Mean())
}

// MarshalJSON encodes h. A histogram that is empty is null.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.h == nil {
		return []byte("null"), nil
	}
	encoded, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("bench: encoding a histogram: %w", err)
	}
	return json.Marshal(string(encoded))
}

// UnmarshalJSON decodes what MarshalJSON made.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var encoded *string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return err
	}
	h.h = nil
	if encoded == nil {
		return nil
	}
	decoded, err := hdrhistogram.Decode([]byte(*encoded))
	if err != nil {
		return fmt.Errorf("bench: decoding a histogram: %w", err)
	}
	h.h = decoded
	return nil
}
