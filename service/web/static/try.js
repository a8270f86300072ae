// Try: embed the texts, and show where the time went and what the model read.
import { $, act, bar, fill, html, legend } from "./dom.js";
import { chosen, load } from "./models.js";
import { ask, fetchJson } from "./service.js";
import { few, options } from "./texts.js";
import { say } from "./words.js";

const VALUES = 8;

// Longer texts are shown to here on both sides of the cut.
const MOST = 400;
const UNKNOWN = new Set(["[UNK]", "<unk>"]);

act("embed", async () => {
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
  fill("results", tokens.map((each, index) => html`<li>
    <p class="chips">${chips(each, truncated.includes(index) ? length : Infinity, side, names)}</p>
    <p class="vector dim">${preview(data[index].embedding)}</p></li>`));
  $("embedded").hidden = false;
});

// What the vocabulary calls the ids: the piece of a text that it does not know is still the text's own.
async function nameTokens(tokens, model) {
  const ids = [...new Set(tokens.map((each) => each.id))];
  if (!ids.length) return new Map();
  const found = await fetchJson("decode", { ids: ids.map((id) => [id]), skip_special_tokens: false, model });
  return new Map(ids.map((id, index) => [id, found[index]]));
}

function showTime(header, counts) {
  const steps = [...(header ?? "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [name, Number(ms)]);
  const total = steps.reduce((sum, [, ms]) => sum + ms, 0);
  fill("time", [
    bar(steps.map(([name, ms]) => [`step-${name}`, ms / (total || 1)])),
    legend(steps.map(([name, ms]) => [`step-${name}`, `${say(`step.${name}`)} ${ms.toFixed(2)} ms`])),
    html`<p class="dim">${say("total", { ms: total.toFixed(2), ...counts })}</p>`,
  ]);
}

// The special tokens at both ends stay when a text is cut at one; what was cut is struck out.
function chips(tokens, longest, side, names) {
  const count = Math.max(0, tokens.length - longest);
  const isLeft = side === "left";
  const edge = isLeft ? tokens.findIndex((each) => !each.special) : tokens.findLastIndex((each) => !each.special) + 1;
  const [start, stop] = isLeft ? [edge, edge + count] : [edge - count, edge];
  const border = !count ? MOST : isLeft ? stop : start;
  const mark = html`<strong class="cut-here ${side}">${say("cut_here", { count })}</strong>`;
  return tokens.map((token, index) => [
    count && index === border ? mark : "",
    Math.abs(index - border) <= MOST || token.special
      ? chip(token, index >= start && index < stop, names.get(token.id)) : "",
  ]);
}

function chip(token, isCut, name) {
  const unknown = UNKNOWN.has(name) ? html`<sup>${name}</sup>` : "";
  const kind = isCut ? "cut" : unknown ? "unknown" : token.special ? "special" : token.start === null ? "prompt" : "";
  const tag = isCut ? "s" : "span";
  return html`<${tag} class="chip ${kind}" title="${token.id} ${name}">${visible(token.text)}${unknown}</${tag}>`;
}

const visible = (text) =>
  text.replaceAll("\n", "⏎").replace(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length)) || "∅";

function preview(embedding) {
  if (typeof embedding === "string") return `${embedding.slice(0, 64)}… (${embedding.length})`;
  const first = embedding.slice(0, VALUES).map((value) => (Number.isInteger(value) ? value : value.toFixed(4)));
  const values = `[${first.join(", ")}${embedding.length > VALUES ? ", …" : ""}]`;
  return say("vector", { values, count: embedding.length, norm: Math.hypot(...embedding).toFixed(4) });
}
