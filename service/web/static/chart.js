// Lines over time, drawn by uPlot, which is loaded when the first are wanted.
import { say } from "./words.js";

const HEIGHT = 180;
const SHOWN_SECONDS = 300;
const COLORS = ["--accent", "--warm"];

let loading;
const charts = new Map();

function load() {
  loading ??= new Promise((resolve, reject) => {
    const source = new URL("vendor/uplot/uPlot.iife.min.js", import.meta.url);
    const script = Object.assign(document.createElement("script"), { src: source, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  return loading;
}

// Values are null where there are none.
export async function lines(place, at, series, unit) {
  await load();
  const data = [at, ...Object.values(series)];
  const names = Object.keys(series);
  let known = charts.get(place);
  if (known?.names.join() !== names.join()) {
    known?.chart.destroy();
    known = { names, chart: new globalThis.uPlot(describe(place, names, unit), data, place) };
    charts.set(place, known);
  }
  known.chart.setData(data);
}

// A canvas knows no light-dark(): the element computes the colour, each time that a chart is drawn.
function color(place, name) {
  place.style.color = `var(${name})`;
  const computed = getComputedStyle(place).color;
  place.style.color = "";
  return computed;
}

function describe(place, names, unit) {
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang);
  const amount = (value) => `${value} ${unit}`.trim();
  const told = (write) => (_, value) => (value === null ? "–" : write(value));
  const grid = { stroke: () => color(place, "--line"), width: 1 };
  const axis = { stroke: () => color(place, "--dim"), grid, ticks: { show: false } };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { y: false },
    legend: { markers: { stroke: (_, index) => `var(${COLORS[index - 1]})` } },
    scales: {
      x: { range: (_, least, most) => [most - SHOWN_SECONDS, most] },
      y: { range: (_, least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, space: 110, values: (_, values) => values.map(clock) },
      { ...axis, size: 60, values: (_, values) => values.map(amount) },
    ],
    series: [{ label: say("at"), value: told(clock) }, ...names.map((label, index) => ({
      label, stroke: () => color(place, COLORS[index]), width: 2, points: { size: 4 },
      value: told((value) => amount(value.toFixed(1))),
    }))],
  };
}

addEventListener("resize", () => {
  for (const [place, { chart }] of charts) chart.setSize({ width: place.clientWidth || chart.width, height: HEIGHT });
});
