package bench

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

// page has the report's template, its style and script, and uPlot, which draws charts.
//
//go:embed page
var page embed.FS

var reportPage = template.Must(template.New("report.html").Funcs(template.FuncMap{
	"style":  func(name string) template.CSS { return template.CSS(pageFile(name)) },
	"script": func(name string) template.JS { return template.JS(pageFile(name)) },
}).ParseFS(page, "page/report.html"))

// pageFile is a file that is part of the program.
func pageFile(name string) string {
	text, err := page.ReadFile("page/" + name)
	if err != nil {
		panic("bench: " + err.Error())
	}
	return string(text)
}

// pageColours is how many targets have a colour of their own.
const pageColours = 6

// compared are the figures that bars show, if there are several servers.
var compared = []string{
	"found.rate", "found.connections", "rate", "p50", "p99", "p99.9", "last.p50", "last.p99", "back.all",
	"taken.rate", "finish.max", "worst.ratio", "connect.rate", "connect.p99",
	"server.cpu.message", "server.cpu.connection", "server.rss.connection",
}

// foremost are the figures to look at first, those of opening only where that is measured.
var foremost = []string{
	"found.rate", "found.connections", "rate", "taken.rate", "connect.rate", "p50", "p99", "connect.p50", "connect.p99",
	"back.all", "sendlag.p99", "finish.max", "worst.ratio", "reach", "errors",
}

// A pageTarget is what the page says about one server.
type pageTarget struct {
	URL    string
	Name   string // its URL without the scheme
	Colour int
	Tiles  []cell // the figures to look at first
	Causes []string
	Stages []stageRow // of hostile
}

// A row is one figure of all servers.
type row struct {
	Name, About string
	Cells       []cell
}

// A cell is one figure of one server. Those that do not exist have no Value.
type cell struct {
	Name   string
	Value  string
	Spread string
	Ratio  string  // to the first server
	Width  float64 // of its bar, in per cent of the largest
	Colour int
	Bad    bool
}

// A pageView is what the template is given.
type pageView struct {
	Report    *Report
	Title     string
	Headline  string
	Loop      string
	Started   string
	Warnings  []string
	Targets   []pageTarget
	Figures   []row
	Bars      []row
	Config    [][2]string
	Text      string
	Distances []distribution
	History   history
	Comeback  comeback
	Searches  []searchView
	Attacked  bool // targets have stages
}

// WriteHTML writes a page with charts, which needs nothing but itself.
func (r *Report) WriteHTML(w io.Writer) error {
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return err
	}
	v := pageView{
		Report: r, Title: "weir bench " + r.Config.Scenario, Headline: r.Config.headline(), Loop: r.Config.loop(),
		Started: r.Started.Format(time.RFC1123Z), Warnings: r.Warnings(), Config: r.configuration(),
		Text: text.String(), Distances: r.distributions(), History: r.history(), Comeback: r.comeback(),
		Searches: r.searchViews(), Attacked: r.Config.Scenario == "hostile",
	}
	for _, m := range metrics {
		if figures, ok := r.row(m.name, m.about); ok && !isOfStage(m.name) {
			v.Figures = append(v.Figures, figures)
			if len(r.Targets) > 1 && slices.Contains(compared, m.name) {
				v.Bars = append(v.Bars, figures)
			}
		}
	}
	for i := range r.Targets {
		v.Targets = append(v.Targets, r.pageTarget(i, v.Figures))
	}
	if err := reportPage.Execute(w, v); err != nil {
		return fmt.Errorf("bench: writing the report: %w", err)
	}
	return nil
}

// pageTarget is what there is to say about a server, of which figures has everything.
func (r *Report) pageTarget(i int, figures []row) pageTarget {
	t := pageTarget{URL: r.Targets[i].URL, Colour: i % pageColours, Stages: r.Targets[i].stageRows()}
	_, t.Name, _ = strings.Cut(t.URL, "://")
	for _, name := range foremost {
		at := slices.IndexFunc(figures, func(f row) bool { return f.Name == name })
		opening := strings.HasPrefix(name, "connect.")
		if at < 0 || figures[at].Cells[i].Value == "" || opening != r.Config.opening() && (opening || name == "rate") {
			continue
		}
		if name == "sendlag.p99" && r.Config.Scenario != "replay" {
			continue // elsewhere warnings tell
		}
		t.Tiles = append(t.Tiles, figures[at].Cells[i])
	}
	for _, round := range r.Targets[i].Rounds {
		t.Causes = append(t.Causes, causeLines("failed", round.Failures)...)
		t.Causes = append(t.Causes, causeLines("dropped", round.Drops)...)
		t.Causes = append(t.Causes, causeLines("not published", round.Refusals)...)
	}
	return t
}

// row is one figure of all servers, unless none has it, or all it counts is nothing.
func (r *Report) row(name, about string) (row, bool) {
	all := row{Name: name, About: about}
	var found []Metric
	var most float64
	for i := range r.Targets {
		m, _ := r.Targets[i].metric(name)
		found = append(found, m)
		most = max(most, m.Value)
	}
	some := false
	for i, m := range found {
		c := cell{Name: name, Colour: i % pageColours}
		if m.Name != "" {
			some = some || m.Unit != Count || m.Value != 0 || name == "errors"
			c.Value = m.Unit.format(m.Value)
			c.Bad = name == "errors" && m.Value > 0
			if len(r.Targets[i].Rounds) > 1 {
				c.Spread = r.Targets[i].spread(m)
			}
			if i > 0 && found[0].Value > 0 {
				c.Ratio = "× " + digits(m.Value/found[0].Value, false)
			}
			if most > 0 {
				c.Width = 100 * m.Value / most
			}
		}
		all.Cells = append(all.Cells, c)
	}
	return all, some
}

// configuration is what was asked for, and where it ran.
func (r *Report) configuration() [][2]string {
	c := r.Config
	all := [][2]string{{"scenario", c.Scenario + ": " + Describe(c.Scenario)}}
	add := func(name, format string, values ...any) {
		all = append(all, [2]string{name, fmt.Sprintf(format, values...)})
	}
	add("connections", "%d in %s", c.Connections, counted(c.Workers, "worker"))
	switch {
	case c.trying() != "":
		add("searched", "the largest %s with %s, from %s", c.searched(), c.Bound.text, c.trying())
	case c.Rate > 0:
		add("rate", "%s", PerSecond.format(c.Rate))
	case c.Scenario == "echo":
		add("in flight", "%d on each connection", c.InFlight)
	}
	switch c.Scenario {
	case "fanout":
		add("publishers", "%d", c.Publishers)
	case "hostile":
		add("attackers", "%d at a time", c.Attackers)
	case "replay":
		add("recording", "%s at %s", c.Recording, Ratio.format(c.Speed))
	}
	if !scenarios[c.Scenario].silent {
		add("payload", "%d bytes", c.PayloadBytes)
	}
	add("rounds", "%d%s", c.Rounds, c.roundLength())
	add("timeout", "%v", c.Timeout)
	p := c.Publishing
	if len(p.URLs) > 0 {
		add("posted to", "%s", strings.Join(p.URLs, ", "))
	}
	if p.Template != "" {
		add("published", "%s", p.Template)
	}
	if p.Subscribe != "" {
		add("subscribed", "%s", p.Subscribe)
	}
	if len(c.Sources) > 0 {
		add("sources", "%s", strings.Join(c.Sources, ", "))
	}
	add("machine", "%s, %d processors, %s", r.Machine.System, r.Machine.Processors, r.Machine.Go)
	return all
}
