// Repeats a request while somebody looks.

import { hasDialog } from "./dialog.js";

/** The longest wait after failures. */
const MOST_MS = 60_000;

/** Whether views update themselves, what the last update came to, and who wants to know. */
export const live = { isOn: true, state: "waiting", listeners: new Set() };

const wakers = new Set();

/** Switches the updates on or off. */
export function setLive(isOn) {
  live.isOn = isOn;
  tell(isOn ? "waiting" : "off");
  if (isOn) wake();
}

/** Lets all updates run now, as after an action of the user, although they may be paused. */
export function wake() {
  for (const waker of [...wakers]) waker(true);
}

/** Forgets how the updates of the view before went. */
export function beginLive() {
  tell(live.isOn ? "waiting" : "off");
}

function tell(state) {
  live.state = state;
  for (const listener of live.listeners) listener(state);
}

document.addEventListener("visibilitychange", () => {
  tell(document.hidden ? "hidden" : live.isOn ? "waiting" : "off");
  if (!document.hidden && live.isOn) wake();
});
window.addEventListener("online", () => live.isOn && wake());

/** Whether an update now would be seen and would disturb nobody. */
function mayRun() {
  return live.isOn && !document.hidden && !hasDialog();
}

/**
 * Calls `update` now, and then each time after `every` milliseconds, until `signal` aborts or `update` returns
 * false. The tab's hiding, an open dialog and the switch of the page hold the updates back. After failures the
 * wait grows. `failed` gets each failure.
 */
export async function repeat(update, every, signal, failed) {
  let wait = every;
  let isAsked = true;
  while (!signal.aborted) {
    if (isAsked || mayRun()) {
      try {
        const goesOn = await update();
        if (signal.aborted || goesOn === false) return;
        wait = every;
        if (live.isOn) tell("live");
      } catch (failure) {
        if (signal.aborted) return;
        wait = Math.min(wait * 2, MOST_MS);
        failed(failure);
        if (!failure.isPassing) return;
        tell("failing");
      }
    }
    isAsked = await pause(wait, signal);
  }
}

/** Waits for the time, for `wake`, or for the signal. True after `wake`. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = (isAsked) => {
      clearTimeout(timer);
      wakers.delete(done);
      signal.removeEventListener("abort", done);
      resolve(isAsked === true);
    };
    const timer = setTimeout(done, milliseconds);
    wakers.add(done);
    signal.addEventListener("abort", done);
  });
}
