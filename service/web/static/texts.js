// What a person wants embedded: texts, and the options that go with them.
import { $, guard } from "./dom.js";
import { say } from "./words.js";

// Beyond that, a heat map cannot be read and a page of chips cannot be scrolled.
const MAX_TEXTS = 50;

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

export const texts = () => lines($("texts").value);

export function few() {
  const found = texts();
  if (!found.length) throw new Error(say("no_texts"));
  if (found.length > MAX_TEXTS) throw new Error(say("too_many", { most: MAX_TEXTS, count: found.length }));
  return found;
}

export function options() {
  const output = $("output").value;
  return {
    model: $("model").value || undefined,
    prompt_name: $("prompt").value || undefined,
    dimensions: Number($("dimensions").value) || undefined,
    encoding_format: output === "base64" ? output : undefined,
    output_dtype: ["float", "base64"].includes(output) ? undefined : output,
  };
}

export const changed = () => $("texts-view").dispatchEvent(new Event("input"));

function show(text) {
  $("texts").value = text;
  changed();
}

export function putExample(language) {
  $("query").value = say("example.query", {}, language);
  show(say("example.texts", {}, language));
}

$("file").addEventListener("change", () => guard(() => open($("file").files)));
$("texts-view").addEventListener("dragover", (event) => event.preventDefault());
$("texts-view").addEventListener("drop", (event) => {
  if (event.dataTransfer.files.length) event.preventDefault();
  guard(() => open(event.dataTransfer.files));
});

async function open([file]) {
  if (!file) return;
  const read = { csv: readCsv, jsonl: readJsonLines }[file.name.split(".").pop().toLowerCase()] ?? lines;
  show(read(await file.text()).map((each) => each.replace(/\s+/g, " ").trim()).filter(Boolean).join("\n"));
}

// The column `text`, else the first.
function readCsv(text) {
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
const readJsonLines = (text) => lines(text).map((line) => {
  const value = JSON.parse(line);
  const members = typeof value === "string" ? [value] : [value.text, ...Object.values(value)];
  return members.find((each) => typeof each === "string") ?? "";
});
