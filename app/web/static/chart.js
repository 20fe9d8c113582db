// chart(place, spec): a chart of uPlot's in the page's colours. Spec, as the server writes it:
//   {x: [epoch s, …], unit: "ms" | "USD" | "share" | "count", kind: "line" | "area" | "bars", log: bool, signed: bool,
//    series: [{label, hue, values: [number or null, …], low: […], high: […]}], markers: [{at: epoch s, label, kind}]}
// "area" and "bars" stack their series; low and high are the interval, drawn as a band. Drag a range: the page filters to it.
"use strict";

(() => {
  const HUES = 8;
  const DASHES = [[], [6, 4], [2, 3]];
  const HEIGHT = 220;
  const drawn = new Set();

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function figure(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "share") return `${(value * 100).toFixed(1)} %`;
    if (unit === "ms") return `${Math.round(value).toLocaleString("en")} ms`;
    if (unit === "USD") return `$${value >= 1 ? value.toFixed(2) : value.toPrecision(3)}`;
    return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4);
  }

  function faded(text, share) {
    const [r, g, b] = text.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
    return `rgba(${r}, ${g}, ${b}, ${share})`;
  }

  // Each on top of those before it; the legend still shows what each has by itself.
  function stacked(series) {
    const sums = series.length ? series[0].values.map(() => 0) : [];
    return series.map((each) => each.values.map((value, i) => (sums[i] += value ?? 0)));
  }

  function lines(spec) {
    const stack = spec.kind === "line" ? null : stacked(spec.series);
    const data = [spec.x];
    const series = [{ value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleString()) }];
    const bands = [];
    // the last first: an area covers what lies behind it
    const order = spec.series.map((_, i) => i);
    if (stack) order.reverse();
    for (const i of order) {
      const each = spec.series[i];
      const stroke = colour(`--h${each.hue % HUES}`);
      data.push(stack ? stack[i] : each.values);
      series.push({
        label: each.label,
        stroke,
        width: 2,
        dash: DASHES[Math.floor(each.hue / HUES) % DASHES.length],
        fill: stack ? faded(stroke, spec.kind === "bars" ? 1 : 0.75) : undefined,
        paths: spec.kind === "bars" ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined,
        points: { show: spec.x.length < 40 && !stack },
        value: (_, __, ___, at) => (at === null ? "–" : figure(each.values[at], spec.unit)),
      });
      if (each.low && each.high) {
        const edge = series.length;
        data.push(each.high, each.low);
        for (let n = 0; n < 2; n += 1) series.push({ label: " ", stroke: "transparent", width: 0, points: { show: false } });
        bands.push({ series: [edge, edge + 1], fill: faded(stroke, 0.15) });
      }
    }
    return { data, series, bands };
  }

  // px that the longest figure beside an axis takes, with its tick
  function room(_, texts) {
    return 24 + 7 * Math.max(4, ...(texts ?? []).map((text) => (text ?? "").length));
  }

  function axis(spec) {
    const ink = colour("--quiet");
    const grid = { stroke: colour("--line"), width: 1 };
    return [
      { stroke: ink, grid, ticks: grid },
      { stroke: ink, grid, ticks: grid, size: room, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : figure(tick, spec.unit))) },
    ];
  }

  // Bars are as wide as a step: the first and the last stand inside, too.
  function edges(spec) {
    const half = spec.kind === "bars" ? ((spec.x[1] ?? spec.x[0] + 3600) - spec.x[0]) / 2 : 0;
    return (_, low, high) => [low - half, high + half];
  }

  // From 0 on; a share up to all; of differences as far as they go on either side.
  function reach(spec) {
    const upto = (high) => (spec.unit === "share" ? Math.max(1, high ?? 1) : (high || 1) * 1.05);
    if (spec.signed) return (_, low, high) => [Math.min(0, low ?? 0) * 1.05, Math.max(0, high ?? 0) * 1.05 || (low ? 0 : 1)];
    return (_, low, high) => [Math.min(0, low ?? 0), upto(high)];
  }

  function marks(spec) {
    return (plot) => {
      const draw = plot.ctx;
      draw.save();
      draw.setLineDash([4, 4]);
      for (const mark of spec.markers || []) {
        const x = Math.round(plot.valToPos(mark.at, "x", true));
        if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
        draw.strokeStyle = colour(mark.kind === "bad" ? "--bad" : "--quiet");
        draw.beginPath();
        draw.moveTo(x, plot.bbox.top);
        draw.lineTo(x, plot.bbox.top + plot.bbox.height);
        draw.stroke();
      }
      draw.restore();
    };
  }

  function filter(plot) {
    if (plot.select.width < 8) return;
    const at = (pixel) => Math.round(plot.posToVal(pixel, "x") * 1000);
    const there = new URL(location.href);
    there.searchParams.delete("range");
    there.searchParams.set("from", at(plot.select.left));
    there.searchParams.set("to", at(plot.select.left + plot.select.width));
    location.assign(there);
  }

  function chart(place, spec) {
    const { data, series, bands } = lines(spec);
    const options = {
      width: Math.max(240, place.clientWidth),
      height: HEIGHT,
      series,
      bands,
      axes: axis(spec),
      scales: { x: { time: true, range: edges(spec) }, y: spec.log ? { distr: 3 } : { range: reach(spec) } },
      cursor: { drag: { setScale: false, x: true, y: false } },
      hooks: { setSelect: [filter], draw: [marks(spec)] },
      legend: { live: true },
    };
    place.replaceChildren();
    const plot = new uPlot(options, data, place);
    for (const row of place.querySelectorAll(".u-series")) row.hidden = !row.querySelector(".u-label").textContent.trim();
    plot.root.setAttribute("aria-hidden", "true"); // the table under it says the same in words
    drawn.add({ place, spec, plot });
    return plot;
  }

  function again() {
    for (const each of [...drawn]) {
      drawn.delete(each);
      each.plot.destroy();
      if (each.place.isConnected) chart(each.place, each.spec);
    }
  }

  function every(within) {
    for (const place of within.querySelectorAll("[data-chart]")) {
      const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
      if (spec.x.length) chart(place, spec);
      else place.textContent = "Nothing in this time.";
    }
  }

  // A part of the page is a newer one: what was drawn in the old one goes, and the new one is drawn.
  document.addEventListener("tooloo:row", (event) => {
    for (const each of drawn) {
      if (each.place.isConnected) continue;
      drawn.delete(each);
      each.plot.destroy();
    }
    every(event.detail.row);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) again();
    width = innerWidth;
  });
  every(document);
  TooLoo.chart = chart;
  TooLoo.charts = every;
})();
