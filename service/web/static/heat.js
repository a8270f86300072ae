// The heat map: a table whose cells are reached by the pointer and by the arrow keys.
import { $, fill, html } from "./dom.js";
import { say } from "./words.js";

// In more columns, numbers do not fit.
const MOST_NUMBERS = 12;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

let shown;

export function showHeat(texts, vectors) {
  const lengths = vectors.map((each) => Math.hypot(...each) || 1);
  const cosines = vectors.map((a, i) =>
    vectors.map((b, j) => a.reduce((sum, value, k) => sum + value * b[k], 0) / (lengths[i] * lengths[j])));
  const least = Math.min(...cosines.flat());
  fill("heat", html`<table role="grid" aria-label="${say("heat")}" ${texts.length > MOST_NUMBERS ? "class=small" : ""}>
    <thead><tr><td></td>${texts.map((text, j) => html`<th scope="col" title="${text}">${j + 1}</th>`)}</tr></thead>
    <tbody>${texts.map((text, i) => html`<tr>
      <th scope="row" title="${text}"><span>${i + 1} ${text}</span></th>
      ${cosines[i].map((cosine) => cell(cosine, least))}</tr>`)}</tbody></table>`);
  $("heat").querySelector("tbody td").tabIndex = 0;
  $("cell").textContent = say("point");
  shown = { texts, cosines };
}

function cell(cosine, least) {
  const share = least < 1 ? (cosine - least) / (1 - least) : 1;
  const kind = share > 0.75 ? "hot" : share > 0.53 ? "warm" : "";
  const number = cosine.toFixed(2).replace(/^-?0\.00$/, "0").replace("0.", ".");
  return html`<td tabindex="-1" class="${kind}" data-share="${share.toFixed(2)}">${number}</td>`;
}

function tell({ target }) {
  const at = target.closest("tbody td");
  if (!at) return;
  const [i, j] = [at.parentElement.rowIndex - 1, at.cellIndex - 1];
  $("cell").textContent = `${shown.cosines[i][j].toFixed(4)}: ${shown.texts[i]} ↔ ${shown.texts[j]}`;
}

$("heat").addEventListener("pointerover", tell);
$("heat").addEventListener("focusin", tell);
$("heat").addEventListener("keydown", (event) => {
  const [down, right] = STEPS[event.key] ?? [];
  const at = event.target;
  const next = at.closest("table")?.rows[at.parentElement.rowIndex + down]?.cells[at.cellIndex + right];
  if (!next?.matches("tbody td")) return;
  event.preventDefault();
  at.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
