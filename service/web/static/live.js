// Live: a row for each worker, and the lines of the last minutes.
import { lines } from "./chart.js";
import { fill, html, table } from "./dom.js";
import { longestBatch } from "./models.js";
import { age, megabytes } from "./state.js";
import { say } from "./words.js";

const POINTS = 150;
const EVENTS = 20;
const COLUMNS = ["number", "pid", "age", "state", "in_flight", "queue", "fill", "rate", "memory", "restarts"];

const history = [];
const events = [];
let before;

export function tell(state) {
  fill("workers", table(COLUMNS, state.workers.map((worker) => row(worker, state))));
  if (before) follow(state);
  before = state;
}

const old = (worker) => before?.workers.find((each) => each.number === worker.number) ?? {};
const refusals = ({ workers }) => workers.reduce((sum, each) => sum + each.refusals, 0);

// How much a count rose a second; null where nothing is known, as after a restart of the instance.
const rate = (now, then, seconds) => (seconds > 0 && now >= then ? (now - then) / seconds : null);

function row(worker, state) {
  const [batches, batchTokens, tokens] = ["batches", "batch_tokens", "tokens"].map((name) =>
    rate(worker[name], old(worker)[name], state.now - before?.now));
  const kind = worker.state === "ready" ? "good" : "bad";
  return [
    worker.number,
    worker.pid || null,
    worker.started === null ? null : age(state.now - worker.started),
    html`<span class="${kind}" title="${worker.reason}">${say(`state.${worker.state}`)}</span>`,
    worker.in_flight,
    worker.queue_tokens.toLocaleString(),
    batches ? `${Math.round((batchTokens / batches / longestBatch()) * 100)} %` : null,
    tokens === null ? null : Math.round(tokens).toLocaleString(),
    megabytes(worker.memory),
    worker.starts - 1,
  ];
}

function follow(state) {
  for (const worker of state.workers) {
    const { pid, state: word } = { ...worker, ...old(worker) };
    if (pid !== worker.pid) note("replaced", { number: worker.number, old: pid, pid: worker.pid });
    else if (word !== worker.state) note("became", { number: worker.number, state: say(`state.${worker.state}`) });
  }
  history.push({
    at: Date.now() / 1000,
    p50: percentile(0.5, state.seconds, before.seconds),
    p95: percentile(0.95, state.seconds, before.seconds),
    refusals: rate(refusals(state), refusals(before), state.now - before.now),
  });
  history.splice(0, history.length - POINTS);
  lines("latency", history, { p50: "p50", p95: "p95" }, "ms");
  lines("refusals", history, { refusals: say("a_second") }, "");
}

function note(key, values) {
  events.unshift(html`<li>${new Date().toLocaleTimeString()} ${say(key, values)}</li>`);
  events.splice(EVENTS);
  fill("events", events);
}

// In milliseconds, of the requests between two looks at cumulative buckets; null without requests.
function percentile(rank, now, then) {
  const buckets = Object.entries(now)
    .map(([bound, count]) => [Number(bound) || Infinity, count - (then[bound] ?? 0)])
    .sort(([a], [b]) => a - b);
  const wanted = rank * (buckets.at(-1)?.[1] ?? 0);
  let [low, below] = [0, 0];
  for (const [high, count] of wanted > 0 ? buckets : []) {
    const share = (wanted - below) / (count - below);
    if (count >= wanted) return 1000 * (high === Infinity ? low : low + share * (high - low));
    [low, below] = [high, count];
  }
  return null;
}
