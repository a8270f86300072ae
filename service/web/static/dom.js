// What every view does with the document.
export const $ = (id) => document.getElementById(id);

// A new element with attributes and children; text stays text.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.map((each) => (each instanceof Node ? each : String(each))));
  return made;
}

export function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function complain(message) {
  $("problem").textContent = message;
  $("problem").hidden = !message;
}

// Run what a person asked for; while it runs, its button is busy.
export async function guard(action, button) {
  if (button?.getAttribute("aria-busy") === "true") return;
  button?.setAttribute("aria-busy", "true");
  complain("");
  try {
    await action();
  } catch (error) {
    complain(error.message);
  } finally {
    button?.removeAttribute("aria-busy");
  }
}
