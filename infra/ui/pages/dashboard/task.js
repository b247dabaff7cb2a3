// One task in full.

import { actOnTask, taskButtons } from "./actions.js";
import { home, read, taskPath } from "./api.js";
import { h, lazy, render } from "./dom.js";
import { duration, number, precise } from "./format.js";
import { graphView, workflowOf } from "./graph.js";
import { indented, jsonView, member } from "./json.js";
import { repeat, wake } from "./live.js";
import { copyButton, empty, facts, failureBox, fullTime, head, icon, panel, skeleton, stateBadge, table, viewLink } from "./parts.js";
import { progressBar, runningTime } from "./tasks.js";
import { isOver, timeline } from "./timeline.js";

const EVERY_MS = 1_500;

/** Shows a task, and updates the view until the task has ended. */
export function taskView({ root, name, signal }) {
  const view = { root, id: name, task: null, text: "", input: null, signal };
  view.load = async () => {
    const answer = await answerOf(view);
    const isNew = view.text !== answer.text;
    Object.assign(view, { task: answer.data, text: answer.text, failure: null });
    draw(view);
    if (isNew && isOver(view.task)) showWorkflow(view);
    return !isOver(view.task) || view.task.effects_done === false;
  };
  // After its end a task is watched no more, until an action may begin another run.
  view.reload = async () => {
    if (view.isWatched) {
      wake();
      return;
    }
    view.isWatched = true;
    await repeat(view.load, EVERY_MS, signal, failed);
    view.isWatched = false;
  };
  const failed = (failure) => {
    view.failure = failure;
    draw(view);
  };
  draw(view);
  view.reload();
  const act = (action) => () => {
    const isPossible = view.task && taskButtons(view.task).length > 0;
    return isPossible && actOnTask(action, view.task, view.reload);
  };
  return { keys: { r: act("retry"), c: act("cancel") } };
}

/** The task; with its input once, since the input never changes and may be large. */
async function answerOf(view) {
  const path = taskPath(view.id);
  if (view.input !== null) return read(path, null, view.signal);
  try {
    const answer = await read(path, { input: true }, view.signal);
    view.input = member(answer.text, "input") ?? "";
    return answer;
  } catch (failure) {
    // Input and output may be too large for one answer.
    if (failure.status !== 502) throw failure;
    view.input = "";
    return answerOf(view);
  }
}

async function showWorkflow(view) {
  view.graph = await workflowOf(view.task, view.signal);
  if (!view.signal.aborted) draw(view);
}

function draw(view) {
  const { root, id, task, failure } = view;
  if (task === null) {
    render(root, head("Task"), failure ? failureBox(failure, view.reload) : skeleton(10));
    return;
  }
  render(
    root,
    head([task.job ?? "Unknown job", " ", stateBadge(task.state)], taskButtons(task, view.reload), logLink(task)),
    h("p", { class: "ids" }, h("code", {}, id), copyButton(id, "Copy the id")),
    failure && failureBox(failure, view.reload),
    task.error && errorPanel(task.error),
    task.progress && !isOver(task) && panel("Progress", progressBar(progressOf(view))),
    panel("Attempts", task.attempts?.length > 0 ? [timeline(task), attemptsTable(task)] : empty(nextText(task))),
    view.graph && panel("Workflow", graphView(view.graph)),
    valuePanel("Input", view.input),
    valuePanel("Output", member(view.text, "result")),
    panel("Details", details(task)),
  );
}

/** The progress with its numbers as the answer has them. */
function progressOf({ task, text }) {
  const given = member(text, "progress");
  const exact = (name) => (task.progress[name] === undefined ? undefined : member(given, name));
  return { ...task.progress, done: exact("done"), total: exact("total") };
}

function nextText(task) {
  if (task.state === "scheduled") return ["The first attempt begins ", fullTime(task.next?.at)];
  return isOver(task) ? "The task ended without an attempt." : "The task waits for a worker.";
}

function errorPanel({ type, message, traceback, module }) {
  const name = module && module !== "builtins" ? `${module}.${type}` : type;
  const place = traceback && h("pre", { class: "trace", tabindex: "0", role: "region", "aria-label": "Traceback" }, traceback);
  return h(
    "section", { class: "panel error-panel" },
    h("h2", {}, viewLink("tasks", { error: type, state: "failed" }, { title: "Failed tasks with this error" }, name)),
    h("p", { class: "lines" }, message), place,
  );
}

function attemptsTable(task) {
  const columns = [
    { name: "Attempt", kind: "count", cell: (attempt) => number(attempt.attempt) },
    { name: "Outcome", kind: "state", cell: (attempt) => h("span", { class: `badge outcome-${attempt.outcome}` }, h("i", { "aria-hidden": "true" }), attempt.outcome) },
    { name: "Began", kind: "time", cell: (attempt) => h("time", { datetime: attempt.started_at, title: attempt.started_at }, precise(attempt.started_at)) },
    { name: "Took", kind: "length", cell: (attempt) => duration(runningTime({ started_at: attempt.started_at, finished_at: attempt.ended_at })) },
    { name: "Worker", kind: "worker", cell: (attempt) => attempt.worker && h("code", { title: attempt.worker }, attempt.worker) },
    { name: "Error", kind: "note", cell: (attempt) => attempt.error && h("span", { class: "error", title: attempt.error.message }, h("b", {}, attempt.error.type), " ", attempt.error.message) },
  ];
  return table(columns, task.attempts, { label: "Attempts", key: (attempt) => attempt.attempt, isBare: true });
}

/** A JSON value of the task, exact. */
function valuePanel(title, text) {
  if (!text) return null;
  const box = lazy("value", text, () => jsonView(text, title));
  return h("section", { class: `panel ${title.toLowerCase()}`, key: title }, h("h2", {}, title, copyButton(indented(text), `Copy the ${title.toLowerCase()}`)), box);
}

function details(task) {
  const workflow = task.workflow ?? {};
  return facts([
    ["Created", fullTime(task.created_at)],
    ["Started", fullTime(task.started_at)],
    ["Ended", fullTime(task.finished_at)],
    ["Waited", task.queue_wait_ms === undefined ? null : duration(task.queue_wait_ms)],
    ["Ran", task.started_at && duration(runningTime(task))],
    ["Next", task.next && [task.next.action, " ", fullTime(task.next.at)]],
    ["Not before", fullTime(task.eta)],
    ["Not after", fullTime(task.expires)],
    ["Cancellation asked", fullTime(task.cancel_requested_at)],
    ["Run", number(task.run)],
    ["Priority", task.priority],
    ["Most retries", task.max_retries === undefined ? null : number(task.max_retries)],
    ["Time limit", task.time_limit === undefined ? null : duration(task.time_limit * 1_000)],
    ["Caller", task.caller && viewLink("tasks", { caller: task.caller }, {}, task.caller)],
    ["Schedule", task.schedule && viewLink(`schedules/${encodeURIComponent(task.schedule)}`, null, {}, task.schedule)],
    ["Came as", task.origin],
    ["Its end sets off", task.effects && `${task.effects.join(", ")} (${task.effects_done ? "done" : "not done yet"})`],
    ["Group", workflow.group_id && h("code", {}, workflow.group_id)],
    ["Trace", task.trace_id && [h("code", {}, task.trace_id), copyButton(task.trace_id, "Copy the trace id")]],
  ]);
}

/** The link to the log lines of the task, where the service runs on AWS. */
function logLink(task) {
  const { region, logGroup: group } = home.dataset;
  if (!region || !group) return null;
  const query = `fields @timestamp, message, job, attempt, disposition, error | filter task_id = ${JSON.stringify(task.task_id)} | sort @timestamp`;
  const detail = `~(end~0~start~-604800~timeType~'RELATIVE~unit~'seconds~editorString~'${starred(query)}~source~(~'${starred(group)}))`;
  const place = `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#logsV2:logs-insights?queryDetail=${detail}`;
  return h("a", { class: "button", href: place, target: "_blank", rel: "noopener noreferrer" }, icon("out"), "Logs");
}

/** A text as the console's addresses have it: every special character as `*` and two hexadecimal digits. */
function starred(text) {
  const coded = encodeURIComponent(text).replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return coded.replace(/%(..)/g, (_, digits) => `*${digits.toLowerCase()}`);
}
