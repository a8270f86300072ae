// Compare: every text with every other, with a query, and on a map.
import { $, act, fill, guard, html } from "./dom.js";
import { showHeat } from "./heat.js";
import { ranker } from "./models.js";
import { fetchJson } from "./service.js";
import { few, options } from "./texts.js";
import { say } from "./words.js";

const [WIDTH, HEIGHT, MARGIN] = [640, 400, 28];

act("relate", async () => {
  const input = few();
  const { model, prompt_name, dimensions } = options();
  const { data } = await fetchJson("v1/embeddings", { input, model, prompt_name, dimensions });
  const vectors = data.map((each) => each.embedding);
  showHeat(input, vectors);
  showMap(input, await fetchJson("web/map", { vectors }));
  if ($("query").value.trim()) await rank();
});

$("ranking").addEventListener("submit", (event) => {
  event.preventDefault();
  guard(rank, event.submitter);
});

async function rank() {
  const documents = few();
  const query = $("query").value.trim();
  if (!query) throw new Error(say("no_query"));
  const { results } = await fetchJson("v1/rerank", { query, documents, model: ranker() });
  fill("ranked", results.map(({ index, relevance_score: score }) =>
    html`<li data-share="${Math.max(0, score)}">${documents[index]} <b>${score.toFixed(4)}</b></li>`));
}

// Each text is a point on the two directions in which their vectors differ most; the list of texts stands beside it.
function showMap(texts, { points, explained }) {
  const [x, y] = [scale(points.map(([first]) => first), WIDTH), scale(points.map(([, second]) => second), HEIGHT)];
  const [first, second] = explained.map((share) => Math.round(share * 100));
  $("map-note").textContent = say("map_shows", { first, second });
  fill("map", html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${say("map")}">
    ${texts.map((text, index) => html`<g><title>${text}</title><circle cx="${x[index]}" cy="${y[index]}"/>
      <text x="${x[index]}" y="${y[index]}">${index + 1}</text></g>`)}</svg>
    <ol class="key">${texts.map((text) => html`<li>${text}</li>`)}</ol>`);
}

function scale(values, length) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const share = (value) => (most > least ? (value - least) / (most - least) : 0.5);
  return values.map((value) => MARGIN + share(value) * (length - 2 * MARGIN));
}
