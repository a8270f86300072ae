// The state of the instance, asked for every two seconds while a view wants it and the tab is seen.
import { $ } from "./dom.js";
import { fetchJson } from "./service.js";
import { say } from "./words.js";

const POLL_SECONDS = 2;
const PATIENCE_SECONDS = 5;

let turn = 0;
let reachedAt;

export async function watch(tell) {
  const mine = (turn += 1);
  while (tell && mine === turn) {
    const state = document.hidden ? null : await look();
    if (state && mine === turn) tell(state);
    await new Promise((resolve) => setTimeout(resolve, POLL_SECONDS * 1000));
  }
}

async function look() {
  try {
    const state = await fetchJson("web/state", undefined, AbortSignal.timeout(PATIENCE_SECONDS * 1000));
    reachedAt = new Date().toLocaleTimeString();
    report("dim", say("updated", { time: reachedAt }));
    return state;
  } catch (error) {
    report("bad", `${error.message} ${reachedAt ? say("last_seen", { time: reachedAt }) : ""}`);
    return null;
  }
}

const report = (className, textContent) => Object.assign($("reach"), { className, textContent });

export function age(seconds) {
  const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

export const megabytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`;
