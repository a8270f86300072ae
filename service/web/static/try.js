// Try: embed the texts, and show where the time went and what the model read.
import { chips } from "./chips.js";
import { $, bar, fill, guard, html, legend } from "./dom.js";
import { chosen, load } from "./models.js";
import { ask, fetchJson } from "./service.js";
import { few, options } from "./texts.js";
import { say } from "./words.js";

const VALUES = 8;

$("embed").addEventListener("click", () => guard(embed, $("embed")));

async function embed() {
  const input = few();
  if (!chosen()) await load();
  const { model, prompt_name, ...others } = options();
  const answer = await ask("v1/embeddings", { input, model, prompt_name, ...others });
  const { data, usage, truncated = [] } = await answer.json();
  const tokens = await fetchJson("tokenize", { inputs: input, prompt_name, model });
  const names = await nameTokens(tokens.flat(), model);
  const { max_length: length, truncation_side: side } = chosen();
  showTime(answer.headers.get("Server-Timing"), { texts: input.length, tokens: usage.total_tokens });
  $("tokens-note").textContent = say("tokens_note", { length: length ?? say("unlimited"), count: truncated.length });
  fill($("results"), html`${tokens.map((each, index) => html`<li>
    <p class="chips">${chips(each, truncated.includes(index) ? length : Infinity, side, names)}</p>
    <p class="vector dim">${preview(data[index].embedding)}</p></li>`)}`);
  $("embedded").hidden = false;
}

// What the vocabulary calls the ids: the piece of a text that it does not know is still the text's own.
async function nameTokens(tokens, model) {
  const ids = [...new Set(tokens.map((each) => each.id))];
  if (!ids.length) return new Map();
  const found = await fetchJson("decode", { ids: ids.map((id) => [id]), skip_special_tokens: false, model });
  return new Map(ids.map((id, index) => [id, found[index]]));
}

function preview(embedding) {
  if (typeof embedding === "string") return `${embedding.slice(0, 64)}… (${embedding.length})`;
  const first = embedding.slice(0, VALUES).map((value) => (Number.isInteger(value) ? value : value.toFixed(4)));
  const values = `[${first.join(", ")}${embedding.length > VALUES ? ", …" : ""}]`;
  return say("vector", { values, count: embedding.length, norm: Math.hypot(...embedding).toFixed(4) });
}

function showTime(header, counts) {
  const steps = [...(header ?? "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
  const total = steps.reduce((sum, [, ms]) => sum + ms, 0);
  fill($("time"), html`
    ${bar(steps.map(([name, ms]) => [`step-${name}`, ms / (total || 1)]))}
    ${legend(steps.map(([name, ms]) => [`step-${name}`, `${say(`step.${name}`)} ${ms.toFixed(2)} ms`]))}
    <p class="dim">${say("total", { ms: total.toFixed(2), ...counts })}</p>`);
}
