// Lines over time, drawn by uPlot, which is loaded when the first are wanted.
const HEIGHT = 180;
const COLORS = ["--accent", "--warm"];

let loading;
const charts = new Map();

function load() {
  document.getElementById("chart-style").media = "all";
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("vendor/uplot/uPlot.iife.min.js", import.meta.url);
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  return loading;
}

// Values are null where there are none.
export async function lines(place, at, series, unit) {
  await load();
  const data = [at, ...Object.values(series)];
  const known = charts.get(place);
  if (known && known.names === Object.keys(series).join()) return known.chart.setData(data);
  known?.chart.destroy();
  const chart = new globalThis.uPlot(describe(place, Object.keys(series), unit), data, place);
  charts.set(place, { chart, names: Object.keys(series).join() });
  return undefined;
}

function describe(place, names, unit) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--dim"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { y: false },
    scales: { y: { range: (_, least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
    axes: [axis, { ...axis, size: 60, values: (_, values) => values.map((value) => `${value} ${unit}`.trim()) }],
    series: [{}, ...names.map((label, index) => ({
      label, stroke: color(COLORS[index]), width: 2, points: { size: 4 },
      value: (_, value) => (value === null ? "–" : `${value.toFixed(1)} ${unit}`.trim()),
    }))],
  };
}

function redraw() {
  for (const { chart } of charts.values()) chart.destroy();
  charts.clear();
}

addEventListener("resize", redraw);
document.addEventListener("theme", redraw);
