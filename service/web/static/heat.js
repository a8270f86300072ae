// The heat map: a table whose cells are reached by the pointer and by the arrow keys.
import { $, make } from "./dom.js";
import { say } from "./words.js";

// In more columns, numbers do not fit.
const MOST_NUMBERS = 12;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function showHeat(texts, cosines) {
  const least = Math.min(...cosines.flat());
  const isWide = texts.length > MOST_NUMBERS;
  const table = make("table", { role: "grid", "aria-label": say("heat"), class: isWide ? "heat small" : "heat" });
  table.append(make("thead", {}, make("tr", {}, make("td", {}), ...texts.map((text, j) =>
    make("th", { scope: "col", title: text }, j + 1)))));
  const rows = texts.map((text, i) => make("tr", {},
    make("th", { scope: "row", title: text }, make("span", {}, `${i + 1} ${text}`)),
    ...texts.map((_, j) => cell(cosines[i][j], least, isWide))));
  table.append(make("tbody", {}, ...rows));
  const cells = rows.map((row) => [...row.querySelectorAll("td")]);
  const find = (target) => {
    const at = target.closest("tbody td");
    return at && [at.parentElement.rowIndex - 1, at.cellIndex - 1];
  };
  const tell = (target) => {
    const at = find(target);
    if (at) $("cell").textContent = `${cosines[at[0]][at[1]].toFixed(4)}: ${texts[at[0]]} ↔ ${texts[at[1]]}`;
  };
  table.addEventListener("pointerover", (event) => tell(event.target));
  table.addEventListener("focusin", (event) => tell(event.target));
  table.addEventListener("keydown", (event) => {
    const at = find(event.target);
    const next = STEPS[event.key] && at && cells[at[0] + STEPS[event.key][0]]?.[at[1] + STEPS[event.key][1]];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  cells[0][0].tabIndex = 0;
  $("cell").textContent = say("point");
  $("heat").replaceChildren(table);
}

function cell(value, least, isWide) {
  const share = least < 1 ? (value - least) / (1 - least) : 1;
  const made = make("td", { tabindex: -1, class: share > 0.75 ? "hot" : share > 0.53 ? "warm" : "" });
  made.style.setProperty("--share", `${Math.round(share * 100)}%`);
  if (isWide) made.setAttribute("aria-label", value.toFixed(2));
  else made.textContent = value.toFixed(2).replace(/^-?0\.00$/, "0").replace("0.", ".");
  return made;
}
