package main

import (
	"bytes"
	"fmt"
	"html"
	"slices"
)

// The measures of a chart, in pixels.
const (
	chartWidth  = 420
	labelWidth  = 96
	valueWidth  = 64
	barHeight   = 16
	titleHeight = 44
	chartMargin = 24
	chartsInRow = 2
)

// chartStyle colours the floors apart from what is compared with them, and Weir
// apart from the others, in light and in dark.
const chartStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.figure, .value { fill: #59636e }
.bar { fill: #9aa4af } .floor { fill: #d0d7de } .weir { fill: #0969da }
.spread { stroke: #1f2328 }
.back { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .figure, .value { fill: #9198a1 }
.bar { fill: #656c76 } .floor { fill: #3d444d } .weir { fill: #4493f8 }
.spread { stroke: #e6edf3 } .back { fill: #0d1117 }
}
</style>
`

// chart is an SVG with a bar chart for each scenario: medians, with a line from the
// least to the largest.
func chart(reports []report) []byte {
	var body bytes.Buffer
	y, rowHeight := chartMargin, 0
	for i, r := range reports {
		x := chartMargin + i%chartsInRow*(chartWidth+chartMargin)
		if i%chartsInRow == 0 {
			y, rowHeight = y+rowHeight, 0
		}
		height := titleHeight + barHeight*len(r.Targets) + chartMargin
		rowHeight = max(rowHeight, height)
		fmt.Fprintf(&body, "<g transform=\"translate(%d %d)\">\n", x, y)
		r.draw(&body)
		body.WriteString("</g>\n")
	}
	width, height := chartMargin+chartsInRow*(chartWidth+chartMargin), y+rowHeight
	var out bytes.Buffer
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", width, height, width, height)
	fmt.Fprintf(&out, "%s<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n", chartStyle, width, height)
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// draw writes the chart of one scenario. The longest bar is that of the largest
// median; a spread that goes beyond is cut.
func (r report) draw(out *bytes.Buffer) {
	fmt.Fprintf(out, "<text class=\"title\" y=\"12\">%s</text>\n", html.EscapeString(r.About))
	fmt.Fprintf(out, "<text class=\"figure\" y=\"30\">%s, %s</text>\n", html.EscapeString(r.Figure.About), html.EscapeString(r.Figure.Unit))
	longest := 0.0
	for _, s := range r.Targets {
		if len(s.Rounds) > 0 {
			_, middle, _ := s.spread(r.Figure)
			longest = max(longest, middle)
		}
	}
	const room = chartWidth - labelWidth - valueWidth
	for i, s := range r.Targets {
		y := titleHeight + i*barHeight
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth-8, y+11, html.EscapeString(s.Name))
		if len(s.Rounds) == 0 {
			fmt.Fprintf(out, "<text class=\"value\" x=\"%d\" y=\"%d\">—</text>\n", labelWidth, y+11)
			continue
		}
		least, middle, most := s.spread(r.Figure)
		length := func(v float64) float64 { return min(room, max(0, room*v/max(longest, 1e-9))) }
		fmt.Fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class(s.Name), labelWidth, y+2, length(middle), barHeight-4)
		fmt.Fprintf(out, "<path class=\"spread\" d=\"M%.1f %dH%.1f\"/>\n", labelWidth+length(least), y+barHeight/2, labelWidth+length(most))
		fmt.Fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%d\">%s</text>\n", labelWidth+max(length(middle), length(most))+6, y+11, digits(middle))
	}
}

// class is the style of a target's bar.
func class(name string) string {
	switch {
	case slices.Contains([]string{"floor-c", "floor-go"}, name):
		return "bar floor"
	case slices.Contains([]string{"weir-loop", "weir-workers"}, name):
		return "bar weir"
	}
	return "bar"
}
