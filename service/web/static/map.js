// The map: each text a point on the two directions in which their vectors differ most, the list of texts beside it.
import { $, fill, html } from "./dom.js";
import { say } from "./words.js";

const SIZE = [640, 400];
const MARGIN = 28;

export function showMap(texts, { points, explained }) {
  const [x, y] = SIZE.map((length, axis) => scale(points.map((point) => point[axis]), length));
  const [first, second] = explained.map((share) => Math.round(share * 100));
  $("map-note").textContent = say("map_shows", { first, second });
  fill($("map"), html`<svg viewBox="0 0 ${SIZE[0]} ${SIZE[1]}" role="img" aria-label="${say("map")}">
    ${texts.map((text, index) => html`<g><title>${text}</title><circle cx="${x[index]}" cy="${y[index]}" r="11"/>
      <text x="${x[index]}" y="${y[index] + 4}" text-anchor="middle">${index + 1}</text></g>`)}</svg>
    <ol class="key">${texts.map((text) => html`<li>${text}</li>`)}</ol>`);
}

function scale(values, length) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const share = (value) => (most > least ? (value - least) / (most - least) : 0.5);
  return values.map((value) => MARGIN + share(value) * (length - 2 * MARGIN));
}
