// The state of the instance, asked for every two seconds while a view wants it and the tab is seen.
import { base } from "./service.js";

const POLL_SECONDS = 2;
const PATIENCE_SECONDS = 5;

let timer;
let watcher;

export function watch(tell) {
  unwatch();
  watcher = tell;
  poll();
}

export function unwatch() {
  clearTimeout(timer);
  watcher = undefined;
}

async function poll() {
  const tell = watcher;
  if (!document.hidden) {
    const state = await fetchState();
    if (tell !== watcher) return;
    tell(state);
  }
  timer = setTimeout(poll, POLL_SECONDS * 1000);
}

// Without a key: it tells nothing of texts, as /metrics does not.
async function fetchState() {
  try {
    const answer = await fetch(`${base()}web/state`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_SECONDS * 1000) });
    return answer.ok ? await answer.json() : { error: answer.status };
  } catch {
    return { error: 0 };
  }
}
