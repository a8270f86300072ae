// The page: which view is shown, the language, the theme, and the models.
import "./compare.js";
import "./snippets.js";
import "./try.js";
import { $, complain, guard } from "./dom.js";
import * as fork from "./fork.js";
import * as live from "./live.js";
import * as models from "./models.js";
import { watch } from "./state.js";
import { changed, putExample } from "./texts.js";
import { speak } from "./words.js";

const VIEWS = { try: {}, compare: {}, live, fork, models };

function show() {
  const asked = location.hash.slice(1);
  const name = Object.hasOwn(VIEWS, asked) ? asked : "try";
  for (const each of document.querySelectorAll("[data-views]")) each.hidden = !each.dataset.views.includes(name);
  for (const link of $("views").children) link.ariaCurrent = link.hash === `#${name}` ? "page" : null;
  complain("");
  VIEWS[name].open?.();
  watch(VIEWS[name].tell);
}

const root = document.documentElement;
root.style.colorScheme = localStorage.getItem("theme") ?? "";
$("theme").addEventListener("click", () => {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.style.colorScheme = (root.style.colorScheme || system) === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.style.colorScheme);
});

document.addEventListener("click", ({ target }) => {
  if (target.matches("[data-language]")) {
    speak(target.lang);
    changed();
    show();
  }
  if (target.matches("[data-example]")) {
    putExample(target.lang);
    $(location.hash === "#compare" ? "relate" : "embed").click();
  }
});

speak(sessionStorage.getItem("language") ?? root.lang);
putExample(root.lang);
addEventListener("hashchange", show);
show();
guard(models.load);
