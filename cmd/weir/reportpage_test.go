package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/weirws/weir/bench"
	"github.com/weirws/weir/internal/chromium"
)

// writeReport loads a server twice, adds to the report what a hostile one might cause, and
// writes the page.
func writeReport(t *testing.T) (file string) {
	t.Helper()
	url := "ws://" + serveHere(t, "--address", "127.0.0.1:0").address + "/echo"
	report, err := bench.Run(t.Context(), bench.Config{
		Scenario: "echo", URLs: []string{url, url}, Connections: 4, Rate: 400,
		WarmUp: 500 * time.Millisecond, Duration: time.Second, Rounds: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	moments := report.Targets[0].Rounds[0].Timeline
	moments[len(moments)-1].Errors = 7
	const markup = `</script></pre><img src=x onerror="document.title='broken into'">`
	report.Targets[1].URL = "ws://" + markup
	report.Targets[1].Rounds[0].Failures = map[string]int{markup: 1}
	file = filepath.Join(t.TempDir(), "report.html")
	if err := writeFile(file, report.WriteHTML); err != nil {
		t.Fatal(err)
	}
	return file
}

// drawnCharts counts the charts with something in the colour of the first server.
const drawnCharts = `(() => {
	const hex = getComputedStyle(document.documentElement).getPropertyValue("--colour-0").trim();
	const want = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
	return [...document.querySelectorAll("canvas")].filter((canvas) => {
		const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
		let found = 0;
		for (let i = 0; i < pixels.length; i += 4) {
			if (pixels[i + 3] > 200 && want.every((v, n) => Math.abs(pixels[i + n] - v) < 16)) found++;
		}
		return found > 20;
	}).length;
})()`

func TestReportPageInABrowser(t *testing.T) {
	file := writeReport(t)
	browser := chromium.Start(t)
	for _, width := range []int64{360, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			b := browser.Open(t, "about:blank")
			b.Do(t, chromedp.EmulateViewport(width, 800), prefer(scheme), chromedp.Navigate("file://"+file))
			charts := chromium.Eval[int](t, b, `document.querySelectorAll("canvas").length`)
			if drawn := chromium.Eval[int](t, b, drawnCharts); charts != 6 || drawn != charts {
				t.Errorf("%d wide, %s: %d of %d charts are drawn", width, scheme, drawn, charts)
			}
			if got := chromium.Eval[int64](t, b, `document.documentElement.scrollWidth`); got > width {
				t.Errorf("%d wide, %s: the page is %d wide", width, scheme, got)
			}
			if got := chromium.Eval[int](t, b, `document.images.length`); got != 0 {
				t.Errorf("%d wide, %s: text became %d images", width, scheme, got)
			}
			b.WantNoNoise(t)
		}
	}
}

// TestReportPageOfOtherScenarios has the sections that only some scenarios have.
func TestReportPageOfOtherScenarios(t *testing.T) {
	address := serveHere(t, "--address", "127.0.0.1:0").address
	recording := filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(recording, []byte(`{"at_ns":0,"text":"a"}`+"\n"+`{"at_ns":1000000,"text":"b"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bound, err := bench.ParseThreshold("p99<50ms")
	if err != nil {
		t.Fatal(err)
	}
	browser := chromium.Start(t)
	for _, tt := range []struct {
		config bench.Config
		find   string // what the page has
	}{
		{bench.Config{Scenario: "storm", Duration: 5 * time.Second}, "#charts .card"},
		{bench.Config{Scenario: "hostile", Rate: 200, Duration: 100 * time.Millisecond}, ".stages tbody tr:nth-child(11)"},
		{bench.Config{Scenario: "find", Search: "connections", Rate: 100, Bound: bound, Duration: time.Second}, "#search-0 .card:nth-child(2)"},
		{bench.Config{Scenario: "replay", Recording: recording}, "#charts .card:nth-child(3)"},
	} {
		t.Run(tt.config.Scenario, func(t *testing.T) {
			c := tt.config
			c.URLs, c.Connections, c.WarmUp, c.Rounds = []string{"ws://" + address + "/echo"}, 20, -1, 1
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // of a search, a part will do
			defer cancel()
			report, err := bench.Run(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "report.html")
			if err := writeFile(file, report.WriteHTML); err != nil {
				t.Fatal(err)
			}
			for width, scheme := range map[int64]string{360: "dark", 1280: "light"} {
				b := browser.Open(t, "about:blank")
				b.Do(t, chromedp.EmulateViewport(width, 800), prefer(scheme), chromedp.Navigate("file://"+file))
				if got := chromium.Eval[int](t, b, `document.querySelectorAll("`+tt.find+`").length`); got == 0 {
					t.Errorf("%d wide: there is no %s", width, tt.find)
				}
				if got := chromium.Eval[int64](t, b, `document.documentElement.scrollWidth`); got > width {
					t.Errorf("%d wide: the page is %d wide", width, got)
				}
				b.WantNoNoise(t)
			}
		})
	}
}

// prefer has the page drawn in a scheme of colours.
func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}
