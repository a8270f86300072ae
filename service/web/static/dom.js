// What every view does with the document: templates, tables, bars and complaints.
import { say } from "./words.js";

export const $ = (id) => document.getElementById(id);

class Markup extends String {}

function write(value) {
  if (value instanceof Markup) return value;
  if (Array.isArray(value)) return value.map(write).join("");
  return String(value ?? "").replace(/[&<>"]/g, (each) => `&#${each.charCodeAt()};`);
}

// Values stay text, but for those that are templates themselves.
export const html = (parts, ...values) => new Markup(String.raw({ raw: parts }, ...values.map(write)));

// The page's policy refuses style attributes, but no properties.
export function fill(id, markup) {
  $(id).innerHTML = write(markup);
  for (const each of $(id).querySelectorAll("[data-share]")) each.style.setProperty("--share", each.dataset.share);
}

// Rows begin with their name; a cell is null where nothing is known.
export const table = (columns, rows) => html`<table>
  <thead><tr>${columns.map((name) => html`<th scope="col">${say(name)}</th>`)}</tr></thead>
  <tbody>${rows.map(([name, ...cells]) => html`<tr>
    <th scope="row">${name}</th>${cells.map((each) => html`<td>${each ?? "–"}</td>`)}</tr>`)}</tbody>
</table>`;

// Parts of a whole: each a class, and its share from 0 to 1.
export const bar = (parts) => html`<div class="bar" aria-hidden="true">
  ${parts.map(([name, share]) => html`<span class="${name}" data-share="${share}"></span>`)}</div>`;

export const legend = (parts) => html`<ul class="legend">
  ${parts.map(([name, text]) => html`<li class="${name}">${text}</li>`)}</ul>`;

export const complain = (message) => $("problem").replaceChildren(message);

// Run what a person asked for; while it runs, its button is busy.
export async function guard(action, button = {}) {
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  complain("");
  await action().catch((error) => complain(error.message));
  button.ariaBusy = null;
}

export const act = (id, action) => $(id).addEventListener("click", () => guard(action, $(id)));
