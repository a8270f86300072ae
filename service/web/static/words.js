// The words of the page in the language of the document; the server fills them in first.
let words = {};

export const say = (key, values = {}) =>
  Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), words[key] ?? key);

export async function speak(language = sessionStorage.getItem("language") ?? document.documentElement.lang) {
  const differs = language !== document.documentElement.lang;
  const locale = language === "zh" ? import("./locales/zh.json", { with: { type: "json" } })
    : import("./locales/en.json", { with: { type: "json" } });
  words = (await locale).default;
  document.documentElement.lang = language;
  if (differs) for (const each of document.querySelectorAll("[data-say]")) each.textContent = say(each.dataset.say);
  const other = document.getElementById("language");
  other.lang = language === "zh" ? "en" : "zh";
  other.textContent = language === "zh" ? "English" : "中文";
  document.getElementById("views").setAttribute("aria-label", say("views"));
  document.getElementById("languages").setAttribute("aria-label", say("copy_as"));
  for (const name of ["workers", "holds", "others"]) {
    document.getElementById(`${name}-region`).setAttribute("aria-label", say(name));
  }
}

export async function switchLanguage() {
  const language = document.documentElement.lang === "zh" ? "en" : "zh";
  sessionStorage.setItem("language", language);
  await speak(language);
  document.dispatchEvent(new Event("language"));
}
