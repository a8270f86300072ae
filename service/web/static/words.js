// The words of the page in the language of the document; the server fills them in first.
import en from "./locales/en.json" with { type: "json" };
import zh from "./locales/zh.json" with { type: "json" };

export const WORDS = { en, zh };

export const say = (key, values = {}) =>
  (WORDS[document.documentElement.lang][key] ?? key).replace(/{(\w+)}/g, (_, name) => values[name]);

export function speak(language) {
  document.documentElement.lang = language;
  sessionStorage.setItem("language", language);
  for (const each of document.querySelectorAll("[data-say]")) each.textContent = say(each.dataset.say);
}
