package bench

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// pageOf returns the page of a report, and what a script element in it has.
func pageOf(t *testing.T, r *Report) (page string, script func(id string) string) {
	t.Helper()
	var b strings.Builder
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), func(id string) string {
		_, text, ok := strings.Cut(b.String(), `id="`+id+`">`)
		if !ok {
			t.Fatalf("the page has no %s", id)
		}
		text, _, _ = strings.Cut(text, "</script>")
		return text
	}
}

func TestReportHTML(t *testing.T) {
	r := sampleReport()
	r.Started = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i := range r.Targets {
		for n := range r.Targets[i].Rounds {
			round := &r.Targets[i].Rounds[n]
			round.Began = r.Started.Add(time.Duration(2*n+i) * 10 * time.Second)
			round.MeasuredFrom = round.Began.Add(time.Second)
			round.Timeline = []Moment{
				{At: -tickInterval, Open: 2, Rate: 50, Errors: 1},
				{At: 0, Open: 2, Rate: 100, P50: time.Millisecond, P99: 2 * time.Millisecond},
			}
		}
	}
	page, script := pageOf(t, r)
	for _, want := range []string{
		"<h2>ws://a/</h2>", "200/s", "400/s", "× 2.00", "1.00 ms … 3.00 ms", "dropped: 1 × hung up",
		"open loop, 100/s: latency counts from when a message was due", "The MIT License",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	var h struct {
		X, Rate0 []float64
		Rate     [][]*float64
		Errors   [][]*float64
		P99      [][]*float64
		WarmUps  [][2]float64
	}
	if err := json.Unmarshal([]byte(script("history")), &h); err != nil {
		t.Fatal(err)
	}
	if want := []float64{0.25, 0.75, 1.25, 10.25, 10.75, 11.25}; !slices.Equal(h.X[:6], want) || len(h.X) != 18 {
		t.Errorf("times %v, want 18 from %v", h.X, want)
	}
	if want := [2]float64{0.5, 1}; len(h.WarmUps) != 6 || h.WarmUps[0] != want {
		t.Errorf("warm-ups %v", h.WarmUps)
	}
	if h.Rate[0][0] != nil || *h.Rate[0][1] != 50 || h.Rate[1][1] != nil || *h.Rate[1][4] != 50 || *h.Errors[1][4] != 1 {
		t.Errorf("rates %v, errors %v", h.Rate, h.Errors)
	}
	if h.P99[0][1] != nil || *h.P99[0][2] != 0.002 {
		t.Errorf("p99 %v", h.P99)
	}
}

func TestReportHTMLOfAStorm(t *testing.T) {
	r := sampleReport()
	r.Config.Scenario = "storm"
	for n := range 2 { // the second target has none
		var took Histogram
		for _, ms := range []int64{0, 100, 200} {
			took.Record(ms * int64(time.Millisecond))
		}
		r.Targets[0].Rounds[n].Latency, r.Targets[0].Rounds[n].Cut = took, 4
	}
	r.Targets[0].Rounds[2].Latency = Histogram{}
	_, script := pageOf(t, r)
	var c struct {
		X      []float64
		Curves [][]*float64
	}
	if err := json.Unmarshal([]byte(script("comeback")), &c); err != nil {
		t.Fatal(err)
	}
	last := len(c.X) - 1
	if last != comebackSteps || math.Abs(c.X[last]-0.2) > 0.001 || c.Curves[1][0] != nil {
		t.Fatalf("times %v, the other server's curve %v", c.X, c.Curves[1])
	}
	for step, want := range map[int]float64{0: 25, last / 4: 25, last/2 + 1: 50, last - 1: 50, last: 75} {
		if got := *c.Curves[0][step]; got != want {
			t.Errorf("after %v s %v %% are back, want %v", c.X[step], got, want)
		}
	}
}

func TestReportHTMLOfAttacks(t *testing.T) {
	r := sampleReport()
	r.Config.Scenario = "hostile"
	all := stages()
	for i := range all {
		all[i].Due = 2
		for range 2 {
			all[i].Latency.Record(int64(i+1) * int64(time.Millisecond))
		}
	}
	all[1].Due, all[1].Attackers, all[1].Bytes, all[1].Outcomes = 3, 2, 4096, map[string]int{"kept open": 2}
	r.Targets[1].Rounds[0].Stages = all
	page, _ := pageOf(t, r)
	for _, want := range []string{
		`<th scope="row">` + attacks[0].name + `</th>`, ">2 × kept open</td>", ">2.00 KiB</td>", ">2.00 ms<span", ">2.00 ×</td>",
		`class="bad">1</td>`, "width: 100.0%",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if strings.Contains(page, attacks[0].name+".p99") {
		t.Error("the table of all figures repeats those of stages")
	}
}

func TestDistribution(t *testing.T) {
	var few, many, none Histogram
	for i := range int64(10) {
		few.Record(i * int64(time.Millisecond))
	}
	for i := range int64(1000) {
		many.Record(i * int64(time.Millisecond))
	}
	d := newDistribution("all", []Histogram{few, many, none})
	for _, tt := range []struct {
		x    float64
		want [3]float64 // not a number: a gap
	}{
		{0, [3]float64{0, 0, math.NaN()}},
		{1, [3]float64{0.008, 0.899, math.NaN()}},
		{2, [3]float64{math.NaN(), 0.989, math.NaN()}},
		{3, [3]float64{math.NaN(), 0.998, math.NaN()}},
	} {
		at := slices.IndexFunc(d.X, func(x ordinate) bool { return math.Abs(float64(x)-tt.x) < 1e-9 })
		if at < 0 {
			t.Fatalf("no point at %v: %v", tt.x, d.X)
		}
		for i, want := range tt.want {
			got := float64(d.Curves[i][at])
			if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > want/1000 {
				t.Errorf("curve %d at %v is %v, want %v", i, tt.x, got, want)
			}
		}
	}
	if last := d.X[len(d.X)-1]; last != 3 {
		t.Errorf("the last point is at %v", last)
	}
	if d := newDistribution("none", []Histogram{none}); len(d.X) != 0 {
		t.Errorf("points of nothing: %v", d.X)
	}
}

// TestReportHTMLNeedsNoNetwork looks for what a browser would fetch.
func TestReportHTMLNeedsNoNetwork(t *testing.T) {
	page, _ := pageOf(t, sampleReport())
	if found := regexp.MustCompile(`(?i)<(script|img|iframe)[^>]*\ssrc|<link[^>]+href="[^d]|@import|url\(`).FindString(page); found != "" {
		t.Errorf("the page has %s", found)
	}
	if n := len(page); n > 150<<10 {
		t.Errorf("the page has %d bytes", n)
	}
}

// TestReportHTMLOfText has markup wherever text is that a server or a command line gave.
func TestReportHTMLOfText(t *testing.T) {
	const markup = `</script></pre><img src=x onerror="alert(1)">`
	r := sampleReport()
	r.Targets[0].URL = "ws://a/" + markup
	r.Targets[1].Rounds[0].Failures = map[string]int{markup: 2}
	r.Targets[1].Rounds[0].Drops = map[string]int{"closed: " + markup: 2}
	r.Config.Sources = []string{markup}
	page, script := pageOf(t, r)
	if strings.Contains(page, "<img") || strings.Count(page, "</script>") != 7 {
		t.Error("markup is part of the page")
	}
	var targets []struct{ URL string }
	if err := json.Unmarshal([]byte(script("targets")), &targets); err != nil || targets[0].URL != "ws://a/"+markup {
		t.Errorf("%v, %v", targets, err)
	}
}

func TestReportHTMLWithoutAnything(t *testing.T) {
	r := &Report{Config: Config{Scenario: "echo", Rounds: 1}, Interrupted: true, Targets: []Target{{URL: "ws://a/"}, {URL: "ws://b/"}}}
	page, _ := pageOf(t, r)
	if !strings.Contains(page, "the run was interrupted") {
		t.Error("there is no warning")
	}
}
