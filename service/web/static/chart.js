// Lines over time, drawn by uPlot, which is loaded when the first are wanted.
import { $ } from "./dom.js";
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

// Draw series of the records, each under its label; a value is null where there is none.
export async function lines(id, records, labels, unit) {
  await load();
  const place = $(id);
  const { lang } = document.documentElement;
  if (charts.get(place)?.lang !== lang) {
    charts.get(place)?.chart.destroy();
    charts.set(place, { lang, chart: new globalThis.uPlot(describe(place, Object.values(labels), unit), [], place) });
  }
  charts.get(place).chart.setData(["at", ...Object.keys(labels)].map((name) => records.map((each) => each[name])));
}

// A canvas knows no light-dark(): the element computes the colour, each time that a chart is drawn.
function color(place, name) {
  place.style.color = `var(${name})`;
  const computed = getComputedStyle(place).color;
  place.style.color = "";
  return computed;
}

function describe(place, labels, unit) {
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang);
  const amount = (value) => `${value} ${unit}`.trim();
  const told = (write) => (_, value) => (value == null ? "–" : write(value));
  const axis = {
    stroke: () => color(place, "--dim"),
    grid: { stroke: () => color(place, "--line"), width: 1 },
    ticks: { show: false },
  };
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
    series: [{ label: say("at"), value: told(clock) }, ...labels.map((label, index) => ({
      label, stroke: () => color(place, COLORS[index]), width: 2, points: { size: 4 },
      value: told((value) => amount(value.toFixed(1))),
    }))],
  };
}

addEventListener("resize", () => {
  for (const [place, { chart }] of charts) chart.setSize({ width: place.clientWidth || chart.width, height: HEIGHT });
});
