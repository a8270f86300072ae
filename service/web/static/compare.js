// Compare: every text with every other, with a query, and on a map.
import { $, guard, make } from "./dom.js";
import { showHeat } from "./heat.js";
import { showMap } from "./map.js";
import { ranker } from "./models.js";
import { fetchJson } from "./service.js";
import { few, options } from "./texts.js";
import { say } from "./words.js";

$("relate").addEventListener("click", () => guard(relate, $("relate")));
$("rank").addEventListener("click", () => guard(rank, $("rank")));
$("query").addEventListener("keydown", (event) => event.key === "Enter" && $("rank").click());

async function relate() {
  const input = few();
  const { model, prompt_name, dimensions } = options();
  const answer = await fetchJson("v1/embeddings", { input, model, prompt_name, dimensions, encoding_format: "base64" });
  const encoded = answer.data.map((each) => each.embedding);
  showHeat(input, cosines(encoded.map(decode)));
  showMap(input, await fetchJson("web/map", { vectors: encoded }));
  if ($("query").value.trim()) await rank();
}

function decode(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function cosines(vectors) {
  const norms = vectors.map((vector) => Math.hypot(...vector) || 1);
  return vectors.map((a, i) => vectors.map((b, j) => a.reduce((sum, value, k) => sum + value * b[k], 0) / norms[i] / norms[j]));
}

async function rank() {
  const documents = few();
  const query = $("query").value.trim();
  if (!query) throw new Error(say("no_query"));
  const { results } = await fetchJson("v1/rerank", { query, documents, model: ranker() });
  $("ranked").replaceChildren(...results.map(({ index, relevance_score: score }) => {
    const bar = make("span", { class: "score", "aria-hidden": "true" });
    bar.style.width = `${Math.max(0, score) * 100}%`;
    return make("li", {}, bar, make("span", {}, documents[index]), make("b", {}, score.toFixed(4)));
  }));
}
