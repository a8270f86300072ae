// The words of the page in the language of the document; the server fills them in first.
import en from "./locales/en.json" with { type: "json" };
import zh from "./locales/zh.json" with { type: "json" };

const WORDS = { en, zh };
const root = document.documentElement;

export const put = (template, values) => template.replace(/{(\w+)}/g, (_, name) => values[name]);
export const say = (key, values = {}, language = root.lang) => put(WORDS[language][key] ?? key, values);

export function speak(language) {
  root.lang = language;
  sessionStorage.setItem("language", language);
  for (const each of document.querySelectorAll("[data-say]")) each.textContent = say(each.dataset.say);
}
