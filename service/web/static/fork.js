// How the fork happened: the processes of this instance on a line of time, what each holds, and other launchers.
import { $, bar, fill, html, legend, table, verdict } from "./dom.js";
import launchers from "./launchers.json" with { type: "json" };
import { age, megabytes } from "./state.js";
import { say } from "./words.js";

const STEPS = ["fork", "import", "load", "warm"];

// A worker that was replaced later is shown from its own fork.
const SAME_START_SECONDS = 120;

export function open() {
  fill($("launchers"), table(["command", "importer", "result"], launchers.map(([command, importer, result]) =>
    [html`<code>${command}</code>`, say(importer), verdict(result.startsWith("works"), say(result))])));
}

export function tell(state) {
  const workers = state.workers.filter((worker) => worker.started !== null);
  const { master } = state;
  const begun = master?.started ?? Math.min(...workers.map((each) => each.started));
  const isOne = workers.every((each) => each.started - begun < SAME_START_SECONDS);
  const from = (worker) => (isOne ? begun : worker.started);
  const span = Math.max(...workers.map((each) => (each.steps.ready ?? state.now) - from(each)), 0.001);
  const line = master ? say("master_line", { pid: master.pid, age: age(state.now - master.started) }) : "";
  fill($("timeline"), html`<p>${line}</p>
    ${workers.map((worker) => story(worker, (worker.started - from(worker)) / span, span, worker.started - begun))}
    ${legend(STEPS.map((step) => [`phase-${step}`, say(`phase.${step}`)]))}`);
  showHolders(state);
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

function showHolders(state) {
  const others = ["master", "monitor"].filter((role) => state[role]).map((role) => [say(role), state[role]]);
  const workers = state.workers.map((each) => [`${say("worker")} ${each.number}`, each]);
  const held = ["app", "model", "device"];
  fill($("holds"), table(["process", "pid", ...held, "memory"], [...others, ...workers].map(([name, each]) => [
    name, each.pid, ...held.map((part) => each.holds && say(each.holds[part] ? "yes" : "no")), megabytes(each.memory),
  ])));
}
