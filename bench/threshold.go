package bench

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Threshold is a bound that a figure has to keep, such as p99<5ms, lost<1 or rate>=1000.
type Threshold struct {
	metric string
	op     string
	bound  float64
	text   string
}

// ErrThreshold is in the error of Report.Check if a figure does not keep its bound.
var ErrThreshold = errors.New("bench: threshold crossed")

// ParseThreshold parses a name of Metrics, one of < <= > >=, and a bound. Times are written
// as durations.
func ParseThreshold(text string) (Threshold, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Threshold{}, fmt.Errorf("bench: threshold %q has none of < <= > >=", text)
	}
	t := Threshold{metric: strings.TrimSpace(text[:at]), op: text[at : at+1], text: text}
	rest := text[at+1:]
	if strings.HasPrefix(rest, "=") {
		t.op, rest = t.op+"=", rest[1:]
	}
	for _, m := range metrics {
		if m.name != t.metric {
			continue
		}
		bound, err := parseBound(strings.TrimSpace(rest), m.unit)
		if err != nil {
			return Threshold{}, fmt.Errorf("bench: threshold %q: %w", text, err)
		}
		t.bound = bound
		return t, nil
	}
	return Threshold{}, fmt.Errorf("bench: threshold %q: there is no figure %q", text, t.metric)
}

// MarshalText returns what ParseThreshold has parsed.
func (t Threshold) MarshalText() ([]byte, error) { return []byte(t.text), nil }

// UnmarshalText is ParseThreshold.
func (t *Threshold) UnmarshalText(text []byte) (err error) {
	*t, err = ParseThreshold(string(text))
	return err
}

func parseBound(text string, u Unit) (float64, error) {
	if u != Seconds {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("%q is not a number", text)
		}
		return v, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 5ms", text)
	}
	return d.Seconds(), nil
}

// Check returns an error for each bound that a server did not keep: the median of its
// rounds, of counts their sum. A figure that there is not, be it in one round, keeps no bound.
func (r *Report) Check(thresholds []Threshold) error {
	var errs []error
	for _, bound := range thresholds {
		for i := range r.Targets {
			m, ok := r.Targets[i].metric(bound.metric)
			switch {
			case !ok:
				errs = append(errs, fmt.Errorf("%w: %s: there is no figure for %s", ErrThreshold, r.Targets[i].URL, bound.text))
			case m.Lacking > 0:
				errs = append(errs, fmt.Errorf("%w: %s: there is no figure for %s in %d of %d rounds", ErrThreshold, r.Targets[i].URL, bound.text, m.Lacking, len(r.Targets[i].Rounds)))
			case !bound.holds(m.Value):
				errs = append(errs, fmt.Errorf("%w: %s: %s is %s, not %s", ErrThreshold, r.Targets[i].URL, m.Name, m.Unit.format(m.Value), bound.text))
			}
		}
	}
	return errors.Join(errs...)
}

func (t Threshold) holds(v float64) bool {
	switch t.op {
	case "<":
		return v < t.bound
	case "<=":
		return v <= t.bound
	case ">":
		return v > t.bound
	}
	return v >= t.bound
}
