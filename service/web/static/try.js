// Try: embed the texts, and show where the time went and what the model read.
import { chips } from "./chips.js";
import { $, guard, make } from "./dom.js";
import { chosen } from "./models.js";
import { ask, fetchJson } from "./service.js";
import { showSnippet } from "./snippets.js";
import { few, options, texts } from "./texts.js";
import { say } from "./words.js";

const VALUES = 8;

$("embed").addEventListener("click", () => guard(embed, $("embed")));
document.addEventListener("texts", showSnippet);
for (const name of ["prompt", "dimensions", "output"]) $(name).addEventListener("change", showSnippet);

export const open = showSnippet;

async function embed() {
  const input = few();
  const chosenOptions = options();
  const answer = await ask("v1/embeddings", { input, ...chosenOptions });
  const body = await answer.json();
  const tokens = await fetchJson("tokenize", {
    inputs: input, prompt_name: chosenOptions.prompt_name, model: chosenOptions.model,
  });
  const names = await nameTokens(tokens.flat(), chosenOptions.model);
  showTime(answer.headers.get("Server-Timing") ?? "", body.usage.total_tokens);
  const cut = new Set(body.truncated ?? []);
  $("tokens-note").textContent = say("tokens_note", { length: chosen().max_length ?? say("unlimited"), count: cut.size });
  $("results").replaceChildren(...input.map((text, index) =>
    result(tokens[index], cut.has(index), body.data[index].embedding, names)));
  $("embedded").hidden = false;
}

// What the vocabulary calls the ids: the piece of a text that it does not know is still the text's own.
async function nameTokens(tokens, model) {
  const ids = [...new Set(tokens.map((each) => each.id))];
  if (!ids.length) return new Map();
  const found = await fetchJson("decode", { ids: ids.map((id) => [id]), skip_special_tokens: false, model });
  return new Map(ids.map((id, index) => [id, found[index]]));
}

function result(tokens, isCut, embedding, names) {
  const shown = $("result").content.cloneNode(true);
  shown.querySelector(".chips").append(...chips(tokens, isCut ? chosen().max_length : Infinity, names));
  shown.querySelector(".vector").textContent = preview(embedding);
  return shown;
}

function preview(embedding) {
  if (typeof embedding === "string") return `${embedding.slice(0, 64)}… (${embedding.length})`;
  const whole = embedding.every(Number.isInteger);
  const first = embedding.slice(0, VALUES).map((value) => (whole ? value : value.toFixed(4))).join(", ");
  const norm = Math.hypot(...embedding).toFixed(4);
  return say("vector", { values: `[${first}${embedding.length > VALUES ? ", …" : ""}]`, count: embedding.length, norm });
}

function showTime(header, tokens) {
  const steps = [...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, value]) => [name, Number(value)]);
  const total = steps.reduce((sum, [, value]) => sum + value, 0);
  const bar = make("div", { class: "bar", "aria-hidden": "true" });
  const list = make("ul", { class: "legend" });
  for (const [name, value] of steps) {
    const part = make("span", { class: `step-${name}` });
    part.style.flexGrow = value / (total || 1);
    bar.append(part);
    list.append(make("li", { class: `step-${name}` }, `${say(`step.${name}`)} ${value.toFixed(2)} ms`));
  }
  $("time").replaceChildren(bar, list, make("p", { class: "dim" },
    say("total", { ms: total.toFixed(2), texts: texts().length, tokens })));
}
