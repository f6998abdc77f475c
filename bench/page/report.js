"use strict";
(() => {
	const read = (id) => JSON.parse(document.getElementById(id).textContent);
	const targets = read("targets");
	const history = read("history");
	const distributions = read("distributions") || [];
	const host = document.getElementById("charts");
	const charts = [];

	// Three digits, as the tables have them.
	const digits = (v) => Number(v.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 12 });
	const seconds = (v) => {
		if (v === 0) return "0 s";
		if (v < 1e-6) return digits(v * 1e9) + " ns";
		if (v < 1e-3) return digits(v * 1e6) + " µs";
		if (v < 1) return digits(v * 1e3) + " ms";
		return digits(v) + " s";
	};
	const short = (v) => (v >= 1e6 ? digits(v / 1e6) + " M" : v >= 1e4 ? digits(v / 1e3) + " k" : digits(v));
	const clock = (v) => (v < 120 ? digits(v) + " s" : Math.floor(v / 60) + ":" + String(Math.floor(v % 60)).padStart(2, "0"));
	// x is -log10 of the share that is above: 99.9 % for 3.
	const percent = (x) => (100 - 100 * Math.pow(10, -x)).toFixed(Math.max(0, Math.ceil(x - 1e-9) - 2)) + " %";

	const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	const colour = (target) => css("--colour-" + targets[target].Colour);
	// What a curve is called: one of several targets needs its name.
	const called = (what, target) => (targets.length > 1 ? [what, targets[target].Name].filter(Boolean).join(" ") : what || targets[target].Name);
	const shown = (format) => (_, v) => (v == null ? "–" : format(v));

	// axes are the two of a chart, drawn in the colours of the page.
	const axes = (x, y) =>
		[Object.assign({ size: 28, space: 56 }, x), Object.assign({ size: 58, space: 28 }, y)].map((axis) =>
			Object.assign({
				stroke: css("--muted"), font: "11px system-ui, sans-serif", gap: 4,
				grid: { stroke: css("--line"), width: 1 }, ticks: { show: false },
			}, axis));
	const labels = (format) => ({ values: (_, splits) => splits.map((v) => (v == null ? "" : format(v))) });

	// The fewer decades a logarithmic axis has, the more marks it needs in each.
	const logarithmic = { distr: 3, range: (_, min, max) => (min > 0 ? [min / 1.3, max * 1.3] : [1e-6, 1]) };
	const logSplits = (_u, _axis, min, max) => {
		const steps = Math.log10(max / min) > 3 ? [1] : Math.log10(max / min) > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
		const all = [];
		for (let decade = Math.floor(Math.log10(min)); decade <= Math.log10(max); decade++) {
			for (const s of steps) all.push(s * Math.pow(10, decade));
		}
		return all.filter((v) => v >= min && v <= max);
	};
	const latencyAxis = Object.assign({ splits: logSplits, filter: (_, splits) => splits }, labels(seconds));
	const fromZero = { range: (_, _min, max) => [0, (max || 1) * 1.08] };

	const wholeSteps = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((power) => [1, 2, 5].map((s) => s * Math.pow(10, power)));

	// shade marks the warm-ups behind the curves.
	const shade = (u) => {
		u.ctx.save();
		u.ctx.fillStyle = css("--shade");
		for (const [from, to] of history.warmUps || []) {
			const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
			const right = Math.min(u.valToPos(to, "x", true), u.bbox.left + u.bbox.width);
			if (right > left) u.ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
		}
		u.ctx.restore();
	};

	// line is a series. uPlot draws a point that stands alone as a dot.
	const line = (label, stroke, format, more) => Object.assign({ label, stroke, width: 1.75, value: shown(format) }, more);

	const percentiles = (d) => {
		const decades = Math.max(1, Math.ceil(d.x[d.x.length - 1]));
		const marks = [Math.log10(2)];
		for (let i = 1; i <= decades; i++) marks.push(i);
		return {
			title: d.title + " by percentile",
			data: [d.x, ...d.curves],
			options: () => ({
				scales: { x: { time: false }, y: logarithmic },
				axes: axes(Object.assign({ splits: () => marks, space: 1 }, labels(percent)), latencyAxis),
				series: [{ label: "percentile", value: shown(percent) }, ...d.curves.map((_, i) => line(called("", i), colour(i), seconds))],
			}),
		};
	};

	// overTime is a chart of kinds of curves of all targets.
	const overTime = (title, y, yAxis, format, kinds) => ({
		title,
		data: [history.x, ...kinds.flatMap((k) => k.curves)],
		options: () => ({
			scales: { x: { time: false }, y },
			axes: axes(labels(clock), yAxis),
			series: [{ label: "time", value: shown(clock) }, ...kinds.flatMap((k) => k.curves.map((_, i) => line(called(k.name, i), colour(i), format, k.more)))],
			cursor: { sync: { key: "time" } },
			hooks: { drawClear: [shade] },
		}),
	});

	const has = (curves) => curves.some((c) => (c || []).some((v) => v > 0));
	const varies = (curves) => new Set(curves.flatMap((c) => c || []).filter((v) => v != null)).size > 1;
	const specs = distributions.slice(0, 1).map(percentiles);
	if (has(history.p50)) {
		specs.push(overTime("Latency over time", logarithmic, latencyAxis, seconds,
			[{ name: "p50", curves: history.p50, more: { dash: [5, 4] } }, { name: "p99", curves: history.p99 }]));
	}
	if (has(history.rate)) specs.push(overTime("Received per second", fromZero, labels(short), digits, [{ name: "", curves: history.rate }]));
	if (history.x && history.x.length) {
		const bars = { paths: uPlot.paths.bars({ size: [0.7, 12] }), points: { show: false }, fill: (u, i) => u.series[i].stroke(u, i) };
		specs.push(overTime("Errors in each half second", fromZero, Object.assign({ incrs: wholeSteps }, labels(short)), digits, [{ name: "", curves: history.errors, more: bars }]));
	}
	if (varies(history.open)) specs.push(overTime("Open connections", fromZero, labels(short), digits, [{ name: "", curves: history.open }]));
	specs.push(...distributions.slice(1).map(percentiles));

	const height = (width) => Math.round(Math.min(280, Math.max(200, width * 0.5)));
	const draw = (chart) => {
		if (chart.plot) chart.plot.destroy();
		const width = chart.place.clientWidth;
		chart.plot = new uPlot(Object.assign({ width, height: height(width) }, chart.spec.options()), chart.spec.data, chart.place);
		chart.plot.root.querySelector("canvas").setAttribute("aria-label", chart.spec.title);
	};
	for (const spec of specs) {
		const card = document.createElement("div");
		card.className = "card";
		const heading = document.createElement("h3");
		heading.textContent = spec.title;
		const place = document.createElement("div");
		place.className = "chart";
		card.append(heading, place);
		host.append(card);
		const chart = { spec, place, plot: null };
		charts.push(chart);
	}
	charts.forEach(draw);
	new ResizeObserver(() => {
		for (const { plot, place } of charts) {
			const width = place.clientWidth;
			if (width > 0 && width !== plot.width) plot.setSize({ width, height: height(width) });
		}
	}).observe(host);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));
})();
