// Live: a row for each worker, and the lines of the last minutes.
import { lines } from "./chart.js";
import { $, make } from "./dom.js";
import { longestBatch } from "./models.js";
import { unwatch, watch } from "./state.js";
import { say } from "./words.js";

const MINUTES = 5;
const POINTS = (MINUTES * 60) / 2;
const EVENTS = 20;

const history = { at: [], p50: [], p95: [], refused: [] };
let before;
let reachedAt;

export const open = () => watch(tell);
export const close = unwatch;

export function tell(state) {
  const time = new Date().toLocaleTimeString();
  if ("error" in state) {
    const why = state.error ? say("answered", { status: state.error }) : say("unreachable");
    $("reach").textContent = `${why} ${reachedAt ? say("last_seen", { time: reachedAt }) : ""}`;
    $("reach").className = "bad";
    return;
  }
  reachedAt = time;
  $("reach").textContent = say("updated", { time });
  $("reach").className = "dim";
  $("workers").tBodies[0].replaceChildren(...state.workers.map((worker) => row(worker, state)));
  if (before) compare(state, time);
  before = state;
}

const old = (worker) => before?.workers.find((each) => each.number === worker.number);

// How much a count rose a second; null where nothing is known, as after a restart of the instance.
function rate(worker, name, state) {
  const last = old(worker);
  const seconds = state.now - (before?.now ?? state.now);
  return last && seconds > 0 && worker[name] >= last[name] ? (worker[name] - last[name]) / seconds : null;
}

function row(worker, state) {
  const [batches, tokens] = ["batches", "batch_tokens"].map((name) => rate(worker, name, state));
  const fill = batches ? tokens / batches / longestBatch() : null;
  const cells = [
    worker.pid || "–",
    worker.started === null ? "–" : age(state.now - worker.started),
    say(`state.${worker.state}`),
    worker.in_flight ?? "–",
    worker.queue_tokens.toLocaleString(),
    fill === null ? "–" : `${Math.round(fill * 100)} %`,
    number(rate(worker, "tokens", state)),
    `${Math.round(worker.memory / 2 ** 20)} MB`,
    worker.starts - 1,
  ];
  const made = make("tr", {}, make("th", { scope: "row" }, worker.number), ...cells.map((text) => make("td", {}, text)));
  made.children[3].className = worker.state === "ready" ? "good" : "bad";
  made.children[3].title = worker.reason;
  return made;
}

function compare(state, time) {
  for (const worker of state.workers) {
    const last = old(worker);
    if (last && last.pid !== worker.pid) note(time, "replaced", { number: worker.number, old: last.pid, pid: worker.pid });
    else if (last && last.state !== worker.state) note(time, "became", { number: worker.number, state: say(`state.${worker.state}`) });
  }
  const seconds = state.now - before.now;
  const refused = sum(state.workers, "refusals") - sum(before.workers, "refusals");
  push("at", Date.now() / 1000);
  push("p50", percentile(0.5, state.seconds, before.seconds));
  push("p95", percentile(0.95, state.seconds, before.seconds));
  push("refused", seconds > 0 && refused >= 0 ? refused / seconds : null);
  lines($("latency"), history.at, { p50: history.p50, p95: history.p95 }, "ms");
  lines($("refusals"), history.at, { [say("a_second")]: history.refused }, "");
}

function note(time, key, values) {
  $("events").prepend(make("li", {}, `${time} ${say(key, values)}`));
  while ($("events").children.length > EVENTS) $("events").lastChild.remove();
}

function push(name, value) {
  history[name].push(value);
  if (history[name].length > POINTS) history[name].shift();
}

// In milliseconds, of the requests between two looks at cumulative buckets; null without requests.
export function percentile(share, now, then) {
  const bounds = Object.keys(now).map((bound) => [bound === "+Inf" ? Infinity : Number(bound), now[bound] - (then[bound] ?? 0)])
    .sort(([a], [b]) => a - b);
  const wanted = share * (bounds.at(-1)?.[1] ?? 0);
  if (!(wanted > 0)) return null;
  const index = bounds.findIndex(([, count]) => count >= wanted);
  const [low, below] = index ? bounds[index - 1] : [0, 0];
  const [high, count] = bounds[index];
  return 1000 * (high === Infinity ? low : low + ((high - low) * (wanted - below)) / (count - below));
}

const sum = (rows, name) => rows.reduce((total, each) => total + each[name], 0);
const number = (value) => (value === null ? "–" : Math.round(value).toLocaleString());

export function age(seconds) {
  const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  return days ? `${days} d ${hours % 24} h` : hours ? `${hours} h ${minutes % 60} min`
    : minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}
