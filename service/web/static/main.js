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
const darkness = matchMedia("(prefers-color-scheme: dark)");
if (localStorage.getItem("theme")) root.dataset.theme = localStorage.getItem("theme");
$("theme").addEventListener("click", () => {
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : darkness.matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.lang);
    changed();
    show();
  });
}
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => {
    putExample(button.lang);
    $(location.hash === "#compare" ? "relate" : "embed").click();
  });
}

speak(sessionStorage.getItem("language") ?? root.lang);
putExample(root.lang);
addEventListener("hashchange", show);
show();
guard(models.load);
