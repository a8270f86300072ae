// Compare: every text with every other, with a query, and on a map.
import { $, fill, guard, html } from "./dom.js";
import { showHeat } from "./heat.js";
import { showMap } from "./map.js";
import { ranker } from "./models.js";
import { fetchJson } from "./service.js";
import { few, options } from "./texts.js";
import { say } from "./words.js";

$("relate").addEventListener("click", () => guard(relate, $("relate")));
$("ranking").addEventListener("submit", (event) => {
  event.preventDefault();
  guard(rank, event.submitter);
});

async function relate() {
  const input = few();
  const { model, prompt_name, dimensions } = options();
  const { data } = await fetchJson("v1/embeddings", { input, model, prompt_name, dimensions });
  const vectors = data.map((each) => each.embedding);
  const products = vectors.map((a) => vectors.map((b) => a.reduce((sum, value, k) => sum + value * b[k], 0)));
  showHeat(input, products);
  showMap(input, await fetchJson("web/map", { vectors }));
  if ($("query").value.trim()) await rank();
}

async function rank() {
  const documents = few();
  const query = $("query").value.trim();
  if (!query) throw new Error(say("no_query"));
  const { results } = await fetchJson("v1/rerank", { query, documents, model: ranker() });
  fill($("ranked"), html`${results.map(({ index, relevance_score: score }) =>
    html`<li data-share="${Math.max(0, score)}">${documents[index]} <b>${score.toFixed(4)}</b></li>`)}`);
}
