// Requests to the service that the page came from. The key lives in this tab alone.
import { $ } from "./dom.js";
import { say } from "./words.js";

const KEY = "key";

export const base = new URL(".", document.baseURI).href;
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export async function ask(path, body, signal) {
  const headers = { ...(body && { "Content-Type": "application/json" }) };
  if (hasKey()) headers.Authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  const request = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal };
  const answer = await fetch(base + path, request).catch(() => {
    throw new Error(say("unreachable"));
  });
  if (answer.status === 401) {
    await askKey();
    return ask(path, body, signal);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error(`${answer.status}: ${told.message ?? told.error ?? answer.statusText}`);
}

export const fetchJson = async (...request) => (await ask(...request)).json();

// Several requests that need a key wait for one dialog.
async function askKey() {
  const dialog = $("door");
  if (!dialog.open) {
    dialog.returnValue = $("key").value = "";
    $("refused").hidden = !hasKey();
    dialog.showModal();
  }
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "use") throw new Error(say("no_key"));
  sessionStorage.setItem(KEY, $("key").value.trim());
}
