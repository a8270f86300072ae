// The tokens of a text as chips: what was cut is struck out, what the vocabulary lacks stands out.
import { make } from "./dom.js";
import { say } from "./words.js";

// Longer texts are shown to here on both sides of the cut.
const MOST = 400;
const UNKNOWN = new Set(["[UNK]", "<unk>"]);

// The special tokens at the end stay when a text is cut.
export function chips(tokens, longest, names) {
  const last = tokens.findLastIndex((each) => !each.special) + 1;
  const kept = Math.max(0, longest - (tokens.length - last));
  const shown = [];
  tokens.forEach((token, index) => {
    const isCut = index >= kept && index < last;
    if (index === kept && isCut) shown.push(make("strong", { class: "cut-here" }, say("cut_here", { count: last - kept })));
    const isFar = Math.abs(index - Math.min(kept, MOST)) > MOST && !token.special;
    if (!isFar) shown.push(chip(token, isCut, names.get(token.id)));
  });
  return shown;
}

function chip(token, isCut, name) {
  const isUnknown = UNKNOWN.has(name);
  const kind = isCut ? "cut" : isUnknown ? "unknown" : token.special ? "special" : token.start === null ? "prompt" : "";
  const shown = make(isCut ? "s" : "span", { class: `chip ${kind}`, title: `${token.id} ${name ?? ""}` }, visible(token.text));
  if (isUnknown) shown.append(make("sup", {}, name));
  return shown;
}

const visible = (text) => text.replaceAll("\n", "⏎").replace(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length)) || "∅";
