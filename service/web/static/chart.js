// Lines over time, drawn by uPlot, which is loaded when the first are wanted.
import { say } from "./words.js";

const HEIGHT = 180;
const SHOWN_SECONDS = 300;
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
  const names = Object.keys(series).join();
  let chart = charts.get(place)?.chart;
  if (charts.get(place)?.names === names) {
    chart.setData(data);
  } else {
    chart?.destroy();
    chart = new globalThis.uPlot(describe(place, Object.keys(series), unit), data, place);
  }
  charts.set(place, { chart, names, again: () => lines(place, at, series, unit) });
}

function describe(place, names, unit) {
  // A canvas knows no light-dark(): let the element compute it.
  const color = (name) => {
    place.style.color = `var(${name})`;
    const computed = getComputedStyle(place).color;
    place.style.color = "";
    return computed;
  };
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang);
  const axis = { stroke: color("--dim"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { y: false },
    scales: { x: { range: (_, least, most) => [most - SHOWN_SECONDS, most] }, y: { range: (_, least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
    axes: [{ ...axis, space: 110, values: (_, values) => values.map(clock) }, { ...axis, size: 60, values: (_, values) => values.map((value) => `${value} ${unit}`.trim()) }],
    series: [{ label: say("at"), value: (_, value) => (value === null ? "–" : clock(value)) }, ...names.map((label, index) => ({
      label, stroke: color(COLORS[index]), width: 2, points: { size: 4 },
      value: (_, value) => (value === null ? "–" : `${value.toFixed(1)} ${unit}`.trim()),
    }))],
  };
}

addEventListener("resize", () => {
  for (const [place, { chart }] of charts) {
    if (place.clientWidth) chart.setSize({ width: place.clientWidth, height: HEIGHT });
  }
});

// The colours are those of the time when a chart was made.
function recolor() {
  for (const known of charts.values()) {
    known.names = "";
    known.again();
  }
}

document.addEventListener("theme", recolor);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
