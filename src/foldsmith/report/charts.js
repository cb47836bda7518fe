// Draws the charts of a report from its own data with uPlot, which stands before this script in the page.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];
  let colours = {};

  const read = () => {
    const style = getComputedStyle(document.documentElement);
    colours = {};
    for (const name of ["ink", "muted", "line", "accent", "short", "neutral", "long"]) {
      colours[name] = style.getPropertyValue("--" + name).trim();
    }
  };
  const colour = (name) => () => colours[name] || colours.accent;
  const rgba = (name, alpha) => () => {
    const hex = (colours[name] || colours.accent).slice(1);
    const parts = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${alpha})`;
  };
  const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const shown = (value) => (value == null ? "–" : plain.format(value).replace("-", "−"));

  const series = (one) => {
    const bars = one.kind === "bars", lone = one.kind === "points";
    const made = {
      label: one.label,
      scale: one.scale || "y",
      stroke: colour(one.colour),
      width: bars || lone ? 1 : one.kind === "dashed" ? 1.2 : 1.7,
      value: (u, value) => shown(value),
      spanGaps: one.kind === "dots",
      points: { show: one.kind === "dots" || lone, size: lone ? 8 : 6, fill: lone ? colour(one.colour) : undefined },
    };
    if (one.kind === "dashed") made.dash = [4, 4];
    if (one.kind === "area") made.fill = rgba(one.colour, 0.15);
    if (bars) {
      made.paths = uPlot.paths.bars({ size: [0.6, 60] });
      made.fill = rgba(one.colour, 0.45);
    }
    if (lone) made.paths = () => null;
    return made;
  };

  const axis = (more) => Object.assign(
    { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 },
      font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 20 }, more);

  const size = (place) => ({ width: Math.max(200, place.clientWidth), height: place.clientWidth < 560 ? 230 : 300 });

  const options = (spec, place) => {
    const named = spec.kind === "names", narrow = place.clientWidth < 560;
    const most = Math.max(1, Math.floor(place.clientWidth / (narrow ? 55 : 70)));
    const step = named ? Math.ceil(spec.names.length / most) : 1;
    const brief = (name) => (narrow || spec.names.length > 8 ? name.replace(/[ ,(].*/, "") + (name.endsWith("*") ? " *" : "") : name);
    const scales = { x: { time: spec.kind === "time" } };
    if (named) scales.x.range = (u, low, high) => [low - 0.6, high + 0.6];
    const axes = [
      axis(named
        ? { splits: () => spec.x.filter((at) => at % step === 0), values: (u, at) => at.map((k) => brief(spec.names[k])), grid: { show: false } }
        : { label: spec.xlabel }),
      axis({ label: narrow ? undefined : spec.y, size: 58, values: (u, at) => at.map((v) => (spec.fine ? plain : short).format(v).replace("-", "−")) }),
    ];
    if (spec.series.some((one) => one.scale === "trades")) {
      scales.trades = { range: (u, low, high) => [0, high * 1.05 || 1] };
      axes.push(axis({ scale: "trades", side: 1, label: narrow ? undefined : "trades", size: 50, grid: { show: false } }));
    }
    const first = named
      ? { label: "cell", value: (u, at) => (at == null ? "–" : spec.names[Math.round(at)] || "–") }
      : spec.kind === "time" ? { label: "day", value: "{YYYY}-{MM}-{DD}" } : { label: spec.xlabel, value: (u, at) => shown(at) };
    return Object.assign(size(place), {
      scales, axes, series: [first, ...spec.series.map(series)],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { drag: { x: !named, y: false }, focus: { prox: 24 } },
      focus: { alpha: 0.35 },
      legend: { live: true },
    });
  };

  read();
  document.documentElement.classList.add("live");
  for (const place of document.querySelectorAll(".chart[data-chart]")) {
    const spec = data[place.dataset.chart];
    if (!spec) {
      place.remove();
      continue;
    }
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", spec.title);
    const plot = new uPlot(options(spec, place), [spec.x, ...spec.series.map((one) => one.values)], place);
    drawn.push([plot, place]);
  }
  let width = 0;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    for (const [plot, place] of drawn) plot.setSize(size(place));
  });
  dark.addEventListener("change", () => {
    read();
    for (const [plot] of drawn) plot.redraw(false, true);
  });
})();
