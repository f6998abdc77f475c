package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestReportHTMLOfASearch(t *testing.T) {
	s := searching(t, func(rate float64) float64 { return rate / 300 }) // 5 ms at 1500/s
	round, began := s.round, time.Unix(0, 0)
	s.round = func(c Config, n int) (*Round, error) {
		r, err := round(c, n)
		r.Began = began.Add(time.Duration(n) * time.Second)
		return r, err
	}
	found, rounds, err := s.run(2)
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Config: s.config.withDefaults(), Targets: []Target{{URL: "ws://a/", Rounds: rounds, Found: found}, {URL: "ws://b/"}}}
	page, script := pageOf(t, r)
	var searches []struct {
		Target       int
		Unit         Unit
		Bound, Found float64
		Steps        struct {
			X            []float64
			Kept, Broken []*float64
		}
		Figures struct{ X, Median, Least, Most []float64 }
	}
	if err := json.Unmarshal([]byte(script("searches")), &searches); err != nil || len(searches) != 1 {
		t.Fatalf("%v: %s", err, script("searches"))
	}
	v := searches[0]
	if v.Target != 0 || v.Unit != Seconds || v.Bound != 0.005 || v.Found < 1425 || v.Found > 1500 {
		t.Errorf("the answer is %+v", v)
	}
	if len(v.Steps.X) != s.done || *v.Steps.Kept[0] != firstRate || v.Steps.Broken[0] != nil || v.Steps.Kept[1] != nil || *v.Steps.Broken[1] < 1500 {
		t.Errorf("the steps are %+v", v.Steps)
	}
	for i, rate := range v.Figures.X {
		if want := rate / 300 / 1000; v.Figures.Median[i] < want*0.999 || v.Figures.Most[i] > want*1.001 || v.Figures.Least[i] > v.Figures.Median[i] {
			t.Errorf("at %v the figures are %v, %v and %v", rate, v.Figures.Least[i], v.Figures.Median[i], v.Figures.Most[i])
		}
	}
	for _, want := range []string{"is the largest rate with p99&lt;5ms; all rounds kept it at", `class="found"`, ">0 of 3</td>", ">3 × not p99&lt;5ms</td>"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}
