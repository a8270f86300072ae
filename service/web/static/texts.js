// What a person wants embedded: texts, and the options that go with them.
import { $, guard } from "./dom.js";
import { say } from "./words.js";

const EXAMPLES = {
  en: {
    query: "How do I keep plants alive?",
    texts: `Water the tomatoes every morning, before the sun is high.
Basil dies in the cold; bring it inside in October.
A cactus needs hardly any water in winter.
The train to Hamburg leaves at nine.
Night buses run every thirty minutes.
The ferry was cancelled because of the storm.
Interest rates rose by a quarter of a point.
The bank lends money to small companies.
She sat on the bank of the river and read.
Floccinaucinihilipilification \u{1F984} is a long word.`,
  },
  zh: {
    query: "怎样养好植物？",
    texts: `每天早上给番茄浇水。
罗勒怕冷，十月要搬进屋里。
仙人掌冬天几乎不需要浇水。
开往汉堡的火车九点出发。
夜班公交每三十分钟一班。
因为暴风雨，渡轮取消了。
利率上调了四分之一个百分点。
银行向小公司提供贷款。
她坐在河边看书。`,
  },
};

// Beyond that, a heat map cannot be read and a page of chips cannot be scrolled.
export const MAX_TEXTS = 50;

export const texts = () => $("texts").value.split("\n").map((line) => line.trim()).filter(Boolean);

export function options() {
  const output = $("output").value;
  return {
    model: $("model").value || undefined,
    prompt_name: $("prompt").value || undefined,
    dimensions: Number($("dimensions").value) || undefined,
    ...(output === "base64" ? { encoding_format: "base64" } : output !== "float" && { output_dtype: output }),
  };
}

export function few() {
  const found = texts();
  if (!found.length) throw new Error(say("no_texts"));
  if (found.length > MAX_TEXTS) throw new Error(say("too_many", { most: MAX_TEXTS, count: found.length }));
  return found;
}

function changed() {
  $("count").textContent = say("count", { count: texts().length });
  document.dispatchEvent(new Event("texts"));
}

function put(lines, query) {
  $("texts").value = lines;
  if (query) $("query").value = query;
  changed();
}

export function fillExamples() {
  for (const button of document.querySelectorAll("[data-example]")) {
    const example = EXAMPLES[button.dataset.example];
    button.addEventListener("click", () => {
      put(example.texts, example.query);
      $(location.hash === "#compare" ? "relate" : "embed").click();
    });
  }
  $("texts").addEventListener("input", changed);
  $("file").addEventListener("change", () => guard(() => open($("file").files[0])));
  const card = $("texts-view");
  card.addEventListener("dragover", (event) => event.preventDefault());
  card.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    guard(() => open(event.dataTransfer.files[0]));
  });
  const example = EXAMPLES[document.documentElement.lang];
  put(example.texts, example.query);
}

async function open(file) {
  if (!file) return;
  const text = await file.text();
  const kind = file.name.split(".").pop().toLowerCase();
  const read = { csv: readCsv, jsonl: readJsonLines }[kind] ?? ((all) => all.split("\n"));
  put(read(text).map((each) => each.replace(/\s+/g, " ").trim()).filter(Boolean).join("\n"));
}

// The column `text`, else the first.
export function readCsv(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n"]*))(,|\r?\n|$)/g)) {
    if (quoted === undefined && !plain && !end) continue;
    rows.at(-1).push(quoted?.replaceAll('""', '"') ?? plain);
    if (end !== ",") rows.push([]);
  }
  const column = rows[0].findIndex((name) => name.trim().toLowerCase() === "text");
  return rows.slice(column < 0 ? 0 : 1).map((row) => row[Math.max(0, column)] ?? "");
}

// The member `text` of each object, else its first string.
export function readJsonLines(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => {
    const value = JSON.parse(line);
    return typeof value === "string" ? value : value.text ?? Object.values(value).find((each) => typeof each === "string") ?? "";
  });
}
