// How the fork happened: the processes of this instance on a line of time, and what each holds.
import { bar, fill, html, legend, table } from "./dom.js";
import { age, megabytes } from "./state.js";
import { say } from "./words.js";

const STEPS = ["fork", "import", "load", "warm"];
const HELD = ["app", "model", "device"];

// A worker that was replaced later is shown from its own fork.
const SAME_START_SECONDS = 120;

export function tell(state) {
  const { master } = state;
  const workers = state.workers.filter((worker) => worker.started !== null);
  const begun = master?.started ?? Math.min(...workers.map((each) => each.started));
  const isOne = workers.every((each) => each.started - begun < SAME_START_SECONDS);
  const from = (worker) => (isOne ? begun : worker.started);
  const span = Math.max(...workers.map((each) => (each.steps.ready ?? state.now) - from(each)), 0.001);
  fill("timeline", [
    master ? html`<p>${say("master_line", { pid: master.pid, age: age(state.now - master.started) })}</p>` : "",
    workers.map((worker) => story(worker, (worker.started - from(worker)) / span, span, worker.started - begun)),
    legend(STEPS.map((step) => [`phase-${step}`, say(`phase.${step}`)])),
  ]);
  const others = ["master", "monitor"].filter((role) => state[role]).map((role) => [say(role), state[role]]);
  const rows = [...others, ...state.workers.map((each) => [`${say("worker")} ${each.number}`, each])];
  fill("holds", table(["process", "pid", ...HELD, "memory"], rows.map(([name, { pid, holds, memory }]) =>
    [name, pid, ...HELD.map((part) => holds && say(holds[part] ? "yes" : "no")), megabytes(memory)])));
}

function story({ number, pid, started, steps }, wait, span, offset) {
  const marks = [started, steps.began, steps.imported, steps.loaded, steps.ready];
  const parts = STEPS.map((step, index) => [step, Math.max(0, marks[index + 1] - marks[index])])
    .filter(([, seconds]) => !Number.isNaN(seconds)); // a fork is known to a hundredth of a second
  const way = [
    say("forked_after", { seconds: offset.toFixed(2) }),
    ...parts.map(([step, seconds]) => `${say(`phase.${step}`)} ${seconds.toFixed(2)} s`),
    ...(steps.ready ? [say("state.ready")] : []),
  ];
  return html`<h3>${say("worker_line", { number, pid })}</h3>
    ${bar([["phase-wait", wait], ...parts.map(([step, seconds]) => [`phase-${step}`, seconds / span])])}
    <p class="story">${way.join(" → ")}</p>`;
}
