// Retrying and cancelling single tasks.

import { ask, rights, taskPath } from "./api.js";
import { confirmed } from "./dialog.js";
import { h } from "./dom.js";
import { counted } from "./format.js";
import { CANCELLED, RETRIED } from "./filters.js";
import { wake } from "./live.js";
import { button, say, shortId } from "./parts.js";

/** How many requests are under way at once for selected tasks. */
const AT_ONCE = 4;

/** Each action: the request for one task, the states that the action leaves, and words. */
export const ACTIONS = {
  retry: {
    states: RETRIED, verb: "Retry", done: "retried", image: "retry", kind: "primary",
    run: (id) => ask("POST", `${taskPath(id)}/retry`),
  },
  cancel: {
    states: CANCELLED, verb: "Cancel", done: "cancelled", image: "cancel", kind: "danger",
    run: (id) => ask("DELETE", taskPath(id)),
  },
};

/** Whether the key may change something, as far as is known. */
export function mayWrite() {
  return rights.write !== false;
}

/** The buttons for one task in its state. */
export function taskButtons(task, after) {
  if (!mayWrite()) return [];
  const possible = Object.entries(ACTIONS).filter(([, action]) => action.states.includes(task.state));
  return possible.map(([name, action]) => button(action.verb, () => actOnTask(name, task, after), {
    image: action.image, kind: action.kind === "danger" ? "danger" : "", title: `${action.verb} this task (${name[0]})`,
  }));
}

/** Retries or cancels one task. A cancellation asks first. */
export async function actOnTask(name, task, after) {
  const action = ACTIONS[name];
  if (name === "cancel") {
    const text = h("p", {}, "A cancelled task never completes. ", task.state === "running"
      ? "This task runs: its worker stops the task within seconds."
      : "A retry runs the task again.");
    if (!await confirmed(`Cancel ${task.job ?? "the task"} ${shortId(task.task_id)}?`, text, "Cancel the task", { kind: "danger" })) return;
  }
  try {
    const answer = await action.run(task.task_id);
    say(answer.status === 202 && name === "cancel" ? "The worker was asked to stop the task" : `The task is ${action.done}`, "good");
  } catch (failure) {
    say(failure.message, "bad");
  }
  after?.();
  wake();
}

/** Retries or cancels the selected tasks, some at once, after a confirmation. */
export async function actOnSelected(name, ids) {
  const action = ACTIONS[name];
  const tasks = counted(ids.length, "task");
  const text = h("p", {}, "Tasks in other states stay as they are.");
  const isAgreed = await confirmed(`${action.verb} ${tasks}?`, text, `${action.verb} ${tasks}`, { kind: action.kind });
  if (!isAgreed) return false;
  const left = [...ids];
  const outcome = { changed: 0, refused: 0 };
  const lane = async () => {
    for (let id = left.pop(); id !== undefined && mayWrite(); id = left.pop()) {
      await action.run(id).then(() => { outcome.changed += 1; }, () => { outcome.refused += 1; });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const refused = outcome.refused > 0 ? `, ${counted(outcome.refused, "task")} refused` : "";
  say(`${counted(outcome.changed, "task")} ${action.done}${refused}`, outcome.refused > 0 ? "bad" : "good");
  wake();
  return true;
}
