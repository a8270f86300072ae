// The page: which view is shown, the language, the theme, and the models.
import * as compare from "./compare.js";
import * as fork from "./fork.js";
import * as live from "./live.js";
import * as models from "./models.js";
import * as attempt from "./try.js";
import { fetchJson } from "./service.js";
import { fillExamples } from "./texts.js";
import { $, complain, guard } from "./dom.js";
import { speak, switchLanguage } from "./words.js";

const VIEWS = { try: attempt, compare, live, fork, models };

function show() {
  const name = VIEWS[location.hash.slice(1)] ? location.hash.slice(1) : "try";
  for (const each of document.querySelectorAll(".view")) each.hidden = each.id !== name;
  $("texts-view").hidden = name !== "try" && name !== "compare";
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  complain("");
  for (const view of Object.values(VIEWS)) view.close?.();
  VIEWS[name].open?.();
}

function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  document.dispatchEvent(new Event("theme"));
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

const saved = localStorage.getItem("theme");
if (saved) useTheme(saved);
$("theme").addEventListener("click", () => useTheme(isDark() ? "light" : "dark"));
$("language").addEventListener("click", () => guard(switchLanguage));

await speak();
fillExamples();
addEventListener("hashchange", show);
document.addEventListener("language", show);
show();
guard(async () => models.use(await fetchJson("web/models")));
