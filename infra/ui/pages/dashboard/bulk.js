// Retrying and cancelling all tasks that match the filters: first a count that changes nothing, then the
// action, in steps of the service or as a task of its own.

import { ACTIONS } from "./actions.js";
import { ask } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, render } from "./dom.js";
import { told } from "./filters.js";
import { counted, number } from "./format.js";
import { wake } from "./live.js";
import { button, failureBox, taskLink } from "./parts.js";

/** The tasks of one step. */
const STEP = 100;
/** The most steps of a count. */
const MOST_COUNTED = 50;

/** Opens the dialog for all tasks that match `filters`. */
export async function actOnAll(name, filters) {
  const action = ACTIONS[name];
  const run = { name, action, filters, stopped: new AbortController(), box: h("div", { class: "bulk" }) };
  const content = [
    h("ul", { class: "plain" }, told(filters).map(({ label, value }) => h("li", {}, h("span", { class: "dim" }, `${label}: `), value))),
    run.box,
  ];
  run.dialog = openDialog(`${action.verb} all that match`, content);
  run.dialog.finished.then(() => {
    run.stopped.abort();
    wake();
  });
  await count(run);
}

/** One step. `matched`, `changed` and `refused` are of this step. */
async function step({ name, filters, stopped }, more) {
  const body = { filter: filters, limit: STEP, ...more };
  return ask("POST", `tasks/${name}`, { text: JSON.stringify(body), signal: stopped.signal });
}

/** Runs steps until there is no cursor, at most `most`. `seen` is told the sums after each step. */
async function steps(run, more, most, seen) {
  const sums = { matched: 0, changed: 0, refused: 0, cursor: null };
  for (let done = 0; done < most; done += 1) {
    const { data } = await step(run, { ...more, cursor: sums.cursor });
    for (const name of ["matched", "changed", "refused"]) sums[name] += data[name];
    sums.cursor = data.cursor;
    seen(sums);
    if (data.cursor === null) break;
  }
  return sums;
}

async function guarded(run, again, work) {
  try {
    await work();
  } catch (failure) {
    if (!run.stopped.signal.aborted) render(run.box, failureBox(failure, again));
  }
}

function count(run) {
  const counting = ({ matched }) => render(run.box, h("p", { role: "status" }, `Counting … ${number(matched)}`));
  return guarded(run, () => count(run), async () => {
    counting({ matched: 0 });
    const found = await steps(run, { dry_run: true }, MOST_COUNTED, counting);
    offer(run, found);
  });
}

/** Shows the count, and the buttons that begin. */
function offer(run, found) {
  const { action, dialog } = run;
  const back = button("Back", () => dialog.close());
  if (found.matched === 0 && found.cursor === null) {
    render(run.box, h("p", {}, `No task can be ${action.done}.`));
    render(dialog.querySelector("footer"), back);
    return;
  }
  const sum = `${number(found.matched)}${found.cursor === null ? "" : "+"}`;
  const noun = found.matched === 1 ? "task" : "tasks";
  render(
    run.box,
    h("p", { class: "count" }, h("strong", { "data-count": String(found.matched) }, sum), ` ${noun} will be ${action.done}.`),
    h("p", { class: "dim" }, "Tasks that begin to match meanwhile may be among them. In the background, a task of its own does the work, and this tab may be closed."),
  );
  const begin = button(`${action.verb} ${sum} ${noun}`, () => perform(run, found), { kind: action.kind });
  render(dialog.querySelector("footer"), back, button("In the background", () => delegate(run)), begin);
  begin.focus();
}

/** Runs all steps from here, with the progress. A second try goes on where the first ended. */
function perform(run, found) {
  const { action, dialog } = run;
  const bar = h("progress", { max: found.cursor === null ? found.matched : null, value: 0, "aria-label": "Progress" });
  const line = h("p", { role: "status" });
  render(run.box, bar, line);
  render(dialog.querySelector("footer"), button("Stop", () => dialog.close()));
  const seen = ({ matched, changed, refused }) => {
    if (found.cursor === null) bar.value = matched;
    line.textContent = summary(action, changed, refused);
  };
  return guarded(run, () => perform(run, found), async () => {
    const sums = await steps(run, { dry_run: false }, Infinity, seen);
    render(run.box, h("p", { role: "status", class: "done" }, summary(action, sums.changed, sums.refused)));
    const close = button("Close", () => dialog.close(), { kind: "primary" });
    render(dialog.querySelector("footer"), close);
    close.focus();
  });
}

function summary(action, changed, refused) {
  const others = refused > 0 ? `, ${number(refused)} changed meanwhile and stay as they are` : "";
  return `${counted(changed, "task")} ${action.done}${others}`;
}

/** Has a task of the service do the work. */
function delegate(run) {
  return guarded(run, () => delegate(run), async () => {
    const { data } = await step(run, { dry_run: false, background: true });
    const close = button("Close", () => run.dialog.close());
    const link = taskLink(data.task_id, "Follow the task", { onclick: () => run.dialog.close() });
    render(run.box, h("p", { role: "status" }, "A task does the work. ", link));
    render(run.dialog.querySelector("footer"), close);
  });
}
