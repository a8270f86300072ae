// How the fork happened: the processes of this instance on a line of time, and what each holds.
import { $, make } from "./dom.js";
import { age } from "./live.js";
import { unwatch, watch } from "./state.js";
import { say } from "./words.js";

const STEPS = ["fork", "import", "load", "warm"];

// A worker that was replaced later is shown from its own fork.
const SAME_START_SECONDS = 120;

export const open = () => watch(tell);
export const close = unwatch;

function tell(state) {
  if ("error" in state) {
    $("timeline").textContent = state.error ? say("answered", { status: state.error }) : say("unreachable");
    return;
  }
  const workers = state.workers.filter((worker) => worker.started !== null);
  const begun = state.master?.started ?? Math.min(...workers.map((each) => each.started));
  const isOne = workers.every((each) => each.started - begun < SAME_START_SECONDS);
  const from = (worker) => (isOne ? begun : worker.started);
  const end = Math.max(...workers.map((each) => (each.steps.ready ?? state.now) - from(each)), 0.001);
  const rows = workers.map((worker) => row(worker, from(worker), end, worker.started - begun));
  const legend = make("ul", { class: "legend" }, ...STEPS.map((step) => make("li", { class: `phase-${step}` }, say(`phase.${step}`))));
  const master = state.master && make("p", { class: "master" }, say("master_line", { pid: state.master.pid, age: age(state.now - state.master.started) }));
  $("timeline").replaceChildren(...[master, ...rows, legend].filter(Boolean));
  showHolders(state);
}

// A fork is known to a hundredth of a second.
function spans({ started, steps }) {
  const marks = [started, steps.began, steps.imported, steps.loaded, steps.ready];
  return STEPS.map((step, index) => [step, marks[index], marks[index + 1]])
    .filter(([, start, stop]) => start !== undefined && stop !== undefined)
    .map(([step, start, stop]) => [step, start, Math.max(0, stop - start)]);
}

function row(worker, from, end, offset) {
  const parts = spans(worker);
  const bar = make("div", { class: "track", "aria-hidden": "true" });
  const wait = make("span", { class: "phase-wait" });
  wait.style.width = `${((worker.started - from) / end) * 100}%`;
  bar.append(wait, ...parts.map(([step, , seconds]) => {
    const part = make("span", { class: `phase-${step}` });
    part.style.width = `${(seconds / end) * 100}%`;
    return part;
  }));
  const told = parts.map(([step, , seconds]) => `${say(`phase.${step}`)} ${seconds.toFixed(2)} s`).join(" → ");
  const ready = worker.steps.ready ? ` → ${say("state.ready")}` : "";
  return make("div", { class: "story" },
    make("h3", {}, say("worker_line", { number: worker.number, pid: worker.pid })), bar,
    make("p", {}, `${say("forked_after", { seconds: offset.toFixed(2) })} → ${told}${ready}`));
}

function showHolders(state) {
  const others = ["master", "monitor"].filter((role) => state[role]).map((role) => ({ ...state[role], name: say(role) }));
  const workers = state.workers.map((each) => ({ ...each, name: `${say("worker")} ${each.number}` }));
  $("holds").tBodies[0].replaceChildren(...[...others, ...workers].map((each) => make("tr", {},
    make("th", { scope: "row" }, each.name), make("td", {}, each.pid),
    ...["app", "model", "device"].map((name) => make("td", {}, each.holds ? say(each.holds[name] ? "yes" : "no") : "–")),
    make("td", {}, `${Math.round(each.memory / 2 ** 20)} MB`))));
}
