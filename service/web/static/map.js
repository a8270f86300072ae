// The map: each text a point on the two directions in which their vectors differ most, the list of texts beside it.
import { $, fill, html } from "./dom.js";
import { say } from "./words.js";

const SIZE = [640, 400];
const MARGIN = 28;
const ROUNDS = 1000;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, value, k) => sum + value * vector[k], 0));

// The first two principal components of vectors, of which only the products of all pairs are needed; and the share of
// the variance that each shows.
export function project(products) {
  const means = products.map(mean);
  let rest = products.map((row, i) => row.map((product, j) => product - means[i] - means[j] + mean(means)));
  const trace = (matrix) => matrix.reduce((sum, row, i) => sum + row[i], 0);
  const total = trace(rest);
  return SIZE.map(() => {
    const [variance, axis] = strongest(rest);
    rest = rest.map((row, i) => row.map((value, j) => value - variance * axis[i] * axis[j]));
    return { share: total > 0 ? variance / total : 0, values: axis.map((each) => each * Math.sqrt(variance)) };
  });
}

// The largest eigenvalue and its eigenvector, by power iteration from the column that is longest.
function strongest(matrix) {
  const lengths = matrix.map((row) => Math.hypot(...row));
  let [length, axis] = [0, matrix[lengths.indexOf(Math.max(...lengths))]];
  for (let round = 0; round < ROUNDS; round += 1) {
    length = Math.hypot(...axis);
    if (length < 1e-12) return [0, axis.map(() => 0)];
    axis = times(matrix, axis.map((value) => value / length));
  }
  return [length, axis.map((value) => value / Math.hypot(...axis))];
}

export function showMap(texts, products) {
  const axes = project(products);
  const [x, y] = axes.map(({ values }, axis) => scale(values, SIZE[axis]));
  const [first, second] = axes.map(({ share }) => Math.round(share * 100));
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
