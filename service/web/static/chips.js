// The tokens of a text as chips: what was cut is struck out, what the vocabulary lacks stands out.
import { html } from "./dom.js";
import { say } from "./words.js";

// Longer texts are shown to here on both sides of the cut.
const MOST = 400;
const UNKNOWN = new Set(["[UNK]", "<unk>"]);

// The special tokens at both ends stay when a text is cut at one.
export function chips(tokens, longest, side, names) {
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
