// The models: what the selects offer, and a card of each.
import { $, fill, html } from "./dom.js";
import { fetchJson } from "./service.js";
import { changed } from "./texts.js";
import { say } from "./words.js";

let served = { models: [], limits: {} };

export const chosen = () => served.models.find((each) => each.name === $("model").value) ?? served.models[0];
// A request that names another model is ranked by the cosine of its vectors.
export const ranker = () => (served.limits.reranker ? undefined : $("model").value || undefined);
export const longestBatch = () => Math.max(0, ...served.models.map((each) => each.max_batch_tokens));

export async function load() {
  served = await fetchJson("web/models");
  const names = served.models.map((each) => each.name);
  $("model-name").textContent = names.join(", ");
  $("model").replaceChildren(...names.map((name) => new Option(name)));
  offerPrompts();
  open();
}

function offerPrompts() {
  const { prompts, default_prompt, dimensions } = chosen();
  const usual = say("usual", { name: default_prompt ?? say("none") });
  $("prompt").replaceChildren(new Option(usual, ""), ...Object.keys(prompts).map((name) => new Option(name)));
  $("prompt").disabled = $("prompt").options.length === 1;
  $("dimensions").max = $("dimensions").placeholder = dimensions;
  changed();
}

$("model").addEventListener("change", offerPrompts);

export const open = () => fill("cards", [...served.models.map(describe), card(say("limits"), served.limits)]);

function describe({ name, ...facts }) {
  return card(name, {
    ...facts,
    cosine: `≥ ${facts.cosine.toFixed(6)}`,
    max_length: facts.max_length ?? say("unlimited"),
    truncation_side: say(`side.${facts.truncation_side}`),
    aliases: facts.aliases.join(", "),
    prompts: Object.entries(facts.prompts).map(([key, text]) => `${key}: ${JSON.stringify(text)}`).join("\n"),
  });
}

const card = (title, facts) => html`<article><h2>${title}</h2><dl>${Object.entries(facts).map(([name, value]) => html`
  <div><dt>${say(`fact.${name}`)}</dt>
    <dd>${typeof value === "number" ? value.toLocaleString() : value || say("none")}</dd></div>`)}</dl></article>`;
