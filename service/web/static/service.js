// Requests to the service that the page came from. The key lives in this tab alone.
import { $ } from "./dom.js";
import { say } from "./words.js";

const KEY = "key";

export const base = () => new URL(".", document.baseURI).href;
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export async function ask(path, body) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(key && { Authorization: `Bearer ${key}` }) };
  let answer;
  try {
    answer = await fetch(base() + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Error(say("unreachable"));
  }
  if (answer.status === 401) {
    await askKey();
    return ask(path, body);
  }
  if (!answer.ok) throw new Error(await explain(answer));
  return answer;
}

export const fetchJson = async (path, body) => (await ask(path, body)).json();

async function explain(answer) {
  const told = await answer.json().catch(() => ({}));
  return `${answer.status}: ${told.message ?? told.error ?? answer.statusText}`;
}

let asking;

// Several requests that need a key wait for one dialog.
function askKey() {
  asking ??= new Promise((resolve, reject) => {
    const dialog = $("door");
    const refuse = () => reject(new Error(say("no_key")));
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, $("key").value.trim());
      resolve();
      dialog.close();
    };
    $("no-key").onclick = () => dialog.close();
    dialog.onclose = refuse;
    $("key").value = "";
    $("refused").hidden = !hasKey();
    dialog.showModal();
  }).finally(() => (asking = undefined));
  return asking;
}
