"use strict";
(() => {
	const read = (id) => JSON.parse(document.getElementById(id).textContent);
	const targets = read("targets");
	const history = read("history");
	const distributions = read("distributions") || [];
	const searches = read("searches") || [];
	const comeback = read("comeback");
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
	// fitting are the marks of a horizontal axis, every second one, or fewer, where they have no room.
	const fitting = (u, marks) => marks.filter((_, i) => i % Math.ceil((marks.length * 60) / u.width) === 0);
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
		const marks = [Math.log10(2)];
		for (let i = 1; i <= d.x[d.x.length - 1]; i++) marks.push(i);
		return {
			title: d.title + " by percentile",
			data: [d.x, ...d.curves],
			options: () => ({
				scales: { x: { time: false }, y: logarithmic },
				axes: axes(Object.assign({ splits: (u) => fitting(u, marks), space: 1 }, labels(percent)), latencyAxis),
				series: [{ label: "percentile", value: shown(percent) }, ...d.curves.map((_, i) => line(called("", i), colour(i), seconds))],
			}),
		};
	};

	// overTime is a chart of kinds of curves of all targets.
	const overTime = (title, y, yAxis, format, kinds) => ({
		title,
		data: [history.x, ...kinds.flatMap((k) => k.curves)],
		options: () => ({
			scales: { x: { time: false, range: (_, min, max) => [Math.max(0, min), max] }, y },
			axes: axes(labels(clock), yAxis),
			series: [{ label: "time", value: shown(clock) }, ...kinds.flatMap((k) => k.curves.map((_, i) => line(called(k.name, i), colour(i), format, k.more)))],
			cursor: { sync: { key: "time" } },
			hooks: { drawClear: [shade] },
		}),
	});

	// back is a chart of how many connections are back at a time after the cut.
	const back = () => ({
		title: "Connections back after the cut",
		data: [comeback.x, ...comeback.curves],
		options: () => ({
			scales: { x: { time: false }, y: { range: [0, 102] } },
			axes: axes(labels(seconds), labels((v) => v + " %")),
			series: [{ label: "after", value: shown(seconds) }, ...comeback.curves.map((_, i) => line(called("", i), colour(i), (v) => digits(v) + " %"))],
		}),
	});

	// across draws a dashed line at a height, or upright at a place.
	const across = (scale, at, stroke) => (u) => {
		if (at == null || !(at >= u.scales[scale].min && at <= u.scales[scale].max)) return;
		const { left, top, width, height } = u.bbox;
		const to = u.valToPos(at, scale, true);
		u.ctx.save();
		u.ctx.strokeStyle = stroke();
		u.ctx.lineWidth = devicePixelRatio;
		u.ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
		u.ctx.beginPath();
		u.ctx.moveTo(scale === "x" ? to : left, scale === "x" ? top : to);
		u.ctx.lineTo(scale === "x" ? to : left + width, scale === "x" ? top + height : to);
		u.ctx.stroke();
		u.ctx.restore();
	};
	const dots = (fill) => ({ paths: () => null, points: { show: true, size: 7, fill, stroke: fill } });

	// tried is a chart of the rounds of a search in their order.
	const tried = (s) => ({
		title: "Tried in each round",
		data: [s.steps.x, s.steps.kept, s.steps.broken],
		options: () => ({
			scales: { x: { time: false, range: (_, min, max) => [min - 0.5, max + 0.5] }, y: logarithmic },
			axes: axes(Object.assign({ incrs: wholeSteps }, labels(digits)), Object.assign({ splits: logSplits, filter: (_, splits) => splits }, labels(short))),
			series: [{ label: "round", value: shown(digits) },
				line("bound kept", colour(s.target), digits, dots(colour(s.target))), line("not kept", css("--bad"), digits, dots(css("--bad")))],
			hooks: { drawClear: [across("y", s.found, () => colour(s.target))] },
		}),
	});

	// figures is a chart of what the bound is about by what was tried.
	const figures = (s) => {
		const inSeconds = s.unit === "s";
		const format = inSeconds ? seconds : (v) => digits(v) + (s.unit ? " " + s.unit : "");
		const extreme = (name) => line(name, colour(s.target), format, { width: 1, dash: [2, 3], points: { show: false } });
		return {
			title: s.metric + " by what was tried",
			data: [s.figures.x, s.figures.median, s.figures.least, s.figures.most],
			options: () => ({
				scales: { x: Object.assign({ time: false }, logarithmic), y: inSeconds ? logarithmic : fromZero },
				axes: axes(Object.assign({ splits: (u, ...more) => fitting(u, logSplits(u, ...more)), filter: (_, splits) => splits, space: 1 }, labels(short)), inSeconds ? latencyAxis : labels(short)),
				series: [{ label: "tried", value: shown(digits) },
					line("median", colour(s.target), format, { points: { show: true, size: 5, fill: colour(s.target) } }), extreme("least"), extreme("most")],
				hooks: { drawClear: [across("y", s.bound, () => css("--bad")), across("x", s.found, () => colour(s.target))] },
			}),
		};
	};

	const has = (curves) => curves.some((c) => (c || []).some((v) => v > 0));
	const varies = (curves) => new Set(curves.flatMap((c) => c || []).filter((v) => v != null)).size > 1;
	const specs = comeback.x ? [back()] : [];
	specs.push(...distributions.slice(0, 1).map(percentiles));
	if (has(history.p50)) {
		specs.push(overTime(history.timed, logarithmic, latencyAxis, seconds,
			[{ name: "p50", curves: history.p50, more: { dash: [5, 4] } }, { name: "p99", curves: history.p99 }]));
	}
	if (has(history.rate)) specs.push(overTime(history.rated, fromZero, labels(short), digits, [{ name: "", curves: history.rate }]));
	if (history.x && history.x.length) {
		const bars = { paths: uPlot.paths.bars({ size: [0.7, 12] }), points: { show: false }, fill: (u, i) => u.series[i].stroke(u, i) };
		specs.push(overTime("Errors in each half second", fromZero, Object.assign({ incrs: wholeSteps }, labels(short)), digits, [{ name: "", curves: history.errors, more: bars }]));
	}
	if (varies(history.open)) specs.push(overTime("Open connections", fromZero, labels(short), digits, [{ name: "", curves: history.open }]));
	specs.push(...distributions.slice(1).map(percentiles));
	searches.forEach((s, i) => {
		for (const spec of [s.steps.x && tried(s), s.figures.x && figures(s)]) {
			if (spec) specs.push(Object.assign(spec, { host: document.getElementById("search-" + i) }));
		}
	});

	const height = (width) => Math.round(Math.min(280, Math.max(200, width * 0.5)));
	const draw = (chart) => {
		if (chart.plot) chart.plot.destroy();
		const width = chart.place.clientWidth;
		chart.plot = new uPlot(Object.assign({ width, height: height(width), padding: [null, 24, null, null] }, chart.spec.options()), chart.spec.data, chart.place);
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
		(spec.host || host).append(card);
		const chart = { spec, place, plot: null };
		charts.push(chart);
	}
	charts.forEach(draw);
	new ResizeObserver(() => {
		for (const { plot, place } of charts) {
			const width = place.clientWidth;
			if (width > 0 && width !== plot.width) plot.setSize({ width, height: height(width) });
		}
	}).observe(document.body);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));
})();
