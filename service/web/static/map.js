// The map: each text a point, labelled with its number; the list of texts is beside it.
import { $, drawn, make } from "./dom.js";
import { say } from "./words.js";

const WIDTH = 640;
const HEIGHT = 400;
const MARGIN = 28;

export function showMap(texts, { points, explained }) {
  const place = [0, 1].map((axis) => scale(points.map((point) => point[axis]), axis ? HEIGHT : WIDTH));
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": say("map") });
  points.forEach((point, index) => {
    const [x, y] = [place[0](point[0]), HEIGHT - place[1](point[1])];
    const label = texts[index];
    picture.append(drawn("g", {},
      drawn("title", {}, label),
      drawn("circle", { cx: x, cy: y, r: 11 }),
      drawn("text", { x, y: y + 4, "text-anchor": "middle" }, String(index + 1))));
  });
  const [first, second] = explained.map((share) => Math.round(share * 100));
  $("map-note").textContent = say("map_shows", { first, second, both: first + second });
  $("map").replaceChildren(picture, make("ol", { class: "key" }, ...texts.map((text) => make("li", {}, text))));
}

function scale(values, length) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return (value) => (most > least ? MARGIN + ((value - least) / (most - least)) * (length - 2 * MARGIN) : length / 2);
}
