// The attempts of a task on a line of time.

import { h, s } from "./dom.js";
import { duration, precise } from "./format.js";

/** The least part of the line that an attempt takes, so that a short attempt is seen. */
const LEAST = 0.6;

/** A line from the submission to the end, or to now, with the waits and the attempts. */
export function timeline(task) {
  const from = new Date(task.created_at).getTime();
  const attempts = task.attempts ?? [];
  const ends = attempts.map((attempt) => time(attempt.ended_at) ?? time(attempt.started_at));
  const last = time(task.finished_at) ?? (isOver(task) ? Math.max(from, ...ends) : Date.now());
  const to = Math.max(from + 1, last);
  const x = (at) => ((Math.min(Math.max(at, from), to) - from) / (to - from)) * 100;
  const bar = (attempt) => {
    const start = x(time(attempt.started_at));
    const end = x(time(attempt.ended_at) ?? (attempt.outcome === "running" ? to : time(attempt.started_at)));
    const width = Math.max(LEAST, end - start);
    return s("rect", { class: `outcome-${attempt.outcome}`, x: Math.min(start, 100 - width).toFixed(2), y: 3, width: width.toFixed(2), height: 14, rx: 0.4 },
      s("title", {}, `Attempt ${attempt.attempt}: ${attempt.outcome}`));
  };
  const label = `${attempts.length} attempts in ${duration(to - from)}`;
  return h(
    "figure", { class: "timeline" },
    s("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", role: "img", "aria-label": label },
      s("rect", { class: "wait", x: 0, y: 9, width: 100, height: 2 }), attempts.map(bar)),
    h("div", { class: "axis" }, h("span", {}, `created ${precise(from)}`), h("span", {}, duration(to - from)), h("span", {}, isOver(task) ? `ended ${precise(to)}` : "now")),
  );
}

function time(at) {
  return at ? new Date(at).getTime() : null;
}

/** Whether a task has ended. */
export function isOver(task) {
  return ["completed", "failed", "cancelled", "expired"].includes(task.state);
}
