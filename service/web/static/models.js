// The models: what the selects offer, and a card of each.
import { $, make } from "./dom.js";
import { say } from "./words.js";

let served = { models: [], limits: {} };

export const chosen = () => served.models.find((each) => each.name === $("model").value) ?? served.models[0];
// A request that names another model is ranked by the cosine of its vectors.
export const ranker = () => (served.reranker ? undefined : $("model").value || undefined);
export const longestBatch = () => Math.max(0, ...served.models.map((each) => each.max_batch_tokens));

export function use(found) {
  served = found;
  $("model-name").textContent = found.models.map((each) => each.name).join(", ");
  $("model").replaceChildren(...found.models.map((each) => make("option", {}, each.name)));
  $("model").addEventListener("change", offerPrompts);
  offerPrompts();
  open();
}

function offerPrompts() {
  const model = chosen();
  const names = Object.keys(model.prompts);
  const usual = say("usual", { name: model.default_prompt ?? say("none") });
  $("prompt").replaceChildren(make("option", { value: "" }, usual), ...names.map((name) => make("option", {}, name)));
  $("prompt").disabled = !names.length;
  $("dimensions").max = model.dimensions;
  $("dimensions").placeholder = model.dimensions;
  document.dispatchEvent(new Event("texts"));
}

export function open() {
  $("cards").replaceChildren(...served.models.map(card));
  $("limits").replaceChildren(...entries(served.limits), ...entries(served.version ? { reranker: served.reranker, version: served.version } : {}));
}

function card(model) {
  const { name, prompts, aliases, ...facts } = model;
  const shown = {
    ...facts,
    cosine: `≥ ${model.cosine.toFixed(6)}`,
    max_length: model.max_length ?? say("unlimited"),
    aliases: aliases.join(", ") || say("none"),
    prompts: Object.entries(prompts).map(([key, text]) => `${key}: ${JSON.stringify(text)}`).join("\n") || say("none"),
  };
  return make("div", { class: "card" }, make("h2", {}, name), make("dl", {}, ...entries(shown)));
}

function entries(facts) {
  return Object.entries(facts).map(([name, value]) => {
    const text = value === null || value === "" ? say("none") : typeof value === "number" ? value.toLocaleString() : value;
    return make("div", {}, make("dt", {}, say(`fact.${name}`)), make("dd", {}, text));
  });
}
