// Schedules: the list, one schedule, and the form that creates and changes a schedule.

import { mayWrite } from "./actions.js";
import { ask, read } from "./api.js";
import { confirmed } from "./dialog.js";
import { h, lazy, render } from "./dom.js";
import { fieldFor, jsonField } from "./fields.js";
import { fromLocal, number, toLocal } from "./format.js";
import { jsonView, member } from "./json.js";
import { repeat, wake } from "./live.js";
import { ago, button, empty, facts, failureBox, fullTime, head, icon, panel, say, skeleton, stateBadge, table, taskLink, viewLink } from "./parts.js";
import { hasZone, ruleFields, ruleText } from "./rule.js";

const PAGE = 50;
const EVERY_MS = 5_000;
/** The next times that a schedule's view shows. */
const NEXT_TIMES = 8;
/** How long after its time a schedule counts as late: the ticker runs once a minute. */
const LATE_MS = 90_000;

function path(name, action = "") {
  return `schedules/${encodeURIComponent(name)}${action === "" ? "" : `/${action}`}`;
}

/** The list of schedules. */
export function schedulesView({ root, parameters, signal }) {
  const view = { cursor: parameters.get("cursor"), found: null, next: null };
  const drawn = () => render(
    root,
    head("Schedules", mayWrite() && viewLink("new-schedule", null, { class: "button" }, icon("plus"), "New schedule")),
    view.failure && failureBox(view.failure, load),
    view.found === null ? !view.failure && skeleton() : list(view),
  );
  const load = async () => {
    const { data, next } = await read("schedules/", { limit: PAGE, cursor: view.cursor }, signal);
    Object.assign(view, { found: data, next, failure: null });
    drawn();
  };
  drawn();
  repeat(load, EVERY_MS, signal, (failure) => {
    view.failure = failure;
    drawn();
  });
}

function list({ found, next, cursor }) {
  if (found.length === 0) return empty("There are no schedules.");
  const columns = [
    { name: "Name", kind: "job", cell: ({ name }) => viewLink(path(name), null, { class: "row-link" }, name) },
    { name: "State", kind: "state", cell: status },
    { name: "Rule", kind: "rule", cell: ({ rule, timezone }) => [h("code", {}, ruleText(rule)), hasZone(rule) && h("span", { class: "dim" }, ` ${timezone}`)] },
    { name: "Runs", kind: "caller", cell: ({ job, celery }) => job ?? celery?.task },
    { name: "Next", kind: "time", cell: (one) => ago(one.next) },
    { name: "Last", kind: "time", cell: (one) => (one.last_task ? taskLink(one.last_task.task_id, [ago(one.last)]) : ago(null)) },
    { name: "Count", kind: "count", cell: ({ count }) => number(count) },
    { name: "Action", kind: "links", cell: (one) => mayWrite() && actionButton(one, one.paused ? "resume" : "pause") },
  ];
  return [
    table(columns, found, { label: "Schedules", key: ({ name }) => name }),
    (next || cursor) && h(
      "nav", { class: "pager", "aria-label": "Pages" },
      cursor && viewLink("schedules", null, { class: "button" }, "First page"),
      next && viewLink("schedules", { cursor: next }, { class: "button", rel: "next" }, "Next page"),
    ),
  ];
}

function status({ paused, next }) {
  if (paused) return stateBadge("paused");
  if (!next) return stateBadge("ended");
  return stateBadge(Date.now() - new Date(next) > LATE_MS ? "late" : "active");
}

const ACTION_WORDS = {
  pause: ["Pause", "pause", "is paused"], resume: ["Resume", "play", "is resumed"], run: ["Run now", "play", ""],
};

function actionButton(schedule, action, after) {
  const [label, image, done] = ACTION_WORDS[action];
  const act = async () => {
    try {
      const { data } = await ask("POST", path(schedule.name, action));
      say(action === "run" ? `The task ${data.task_id} waits for a worker` : `The schedule ${done}`, "good");
    } catch (failure) {
      say(failure.message, "bad");
    }
    after?.();
    wake();
  };
  return button(label, act, { image, title: `${label}: ${schedule.name}` });
}

/** One schedule. */
export function scheduleView({ root, name, signal, go }) {
  const view = { name, root, go, schedule: null, times: [], isEdited: false };
  view.draw = () => drawOne(view);
  view.load = async () => {
    const answer = await read(path(name), null, signal);
    const next = await read(path(name, "next"), { count: NEXT_TIMES }, signal);
    Object.assign(view, { schedule: answer.data, text: answer.text, tag: answer.tag, times: next.data.times, failure: null });
    view.draw();
  };
  view.draw();
  repeat(view.load, EVERY_MS, signal, (failure) => {
    view.failure = failure;
    view.draw();
  });
}

function drawOne(view) {
  const { root, name, schedule, failure } = view;
  if (schedule === null) {
    render(root, head(name), failure ? failureBox(failure, view.load) : skeleton());
    return;
  }
  const buttons = mayWrite() && [
    actionButton(schedule, "run", view.load), actionButton(schedule, schedule.paused ? "resume" : "pause", view.load),
    button("Edit", () => edit(view), { image: "edit", pressed: String(view.isEdited) }),
    button("Delete", () => remove(view), { image: "trash", kind: "danger" }),
  ];
  render(
    root,
    head([name, " ", status(schedule)], buttons, viewLink("tasks", { schedule: name }, { class: "button" }, icon("tasks"), "Tasks")),
    failure && failureBox(failure, view.load),
    view.isEdited && lazy("form", view.editedTag, () => scheduleForm(schedule, view.text, (text) => change(view, text))),
    panel("Next times", view.times.length === 0 ? empty("There are no further times.") : h("ol", { class: "times" }, view.times.map((at) => h("li", {}, fullTime(at))))),
    panel("Details", details(schedule)),
    valueOf(view),
  );
}

function details(one) {
  const last = one.last_task;
  return facts([
    ["Rule", [h("code", {}, ruleText(one.rule)), hasZone(one.rule) ? ` ${one.timezone}` : ""]],
    ["Job", one.job && viewLink("tasks", { job: one.job }, {}, one.job)],
    ["Task of Celery", one.celery?.task],
    ["Next", fullTime(one.next)],
    ["Last", fullTime(one.last)],
    ["Last task", last && [taskLink(last.task_id), " ", last.state && stateBadge(last.state)]],
    ["Count", number(one.count)],
    ["Ends after", one.max_runs === undefined ? null : `${number(one.max_runs)} times`],
    ["From", fullTime(one.start)],
    ["Until", fullTime(one.end)],
    ["Missed times", { one: "the last runs", none: "none runs", all: "all run" }[one.missed]],
    ["Overlap", { allow: "allowed", skip: "skipped" }[one.overlap]],
    ["Caller", one.caller],
    ["Created", fullTime(one.created_at)],
    ["Changed", fullTime(one.updated_at)],
    ["Version", number(one.version)],
  ]);
}

function valueOf({ text, schedule }) {
  const name = schedule.celery ? "celery" : "input";
  const value = member(text, name);
  const title = schedule.celery ? "Task of Celery" : "Input";
  return value !== undefined && panel(title, lazy("value", value, () => jsonView(value, title)));
}

/** Opens or closes the form. The form keeps the version that it was opened with. */
function edit(view) {
  view.isEdited = !view.isEdited;
  view.editedTag = view.tag;
  view.draw();
  if (view.isEdited) view.root.querySelector("form.schedule select").focus();
}

async function change(view, text) {
  try {
    await ask("PATCH", path(view.name), { text, headers: { "if-match": view.editedTag } });
  } catch (failure) {
    if (failure.status === 412) failure.message = "Somebody has changed the schedule since the form was opened. Close the form, look, and edit again.";
    throw failure;
  }
  view.isEdited = false;
  say("The schedule is changed", "good");
  wake();
  await view.load();
}

async function remove(view) {
  const text = h("p", {}, "Its tasks stay. Times up to 75 seconds ahead may have been handed out already.");
  if (!await confirmed(`Delete the schedule ${view.name}?`, text, "Delete the schedule", { kind: "danger" })) return;
  try {
    await ask("DELETE", path(view.name), { headers: { "if-match": view.tag } });
    say("The schedule is deleted", "good");
    view.go("schedules");
  } catch (failure) {
    say(failure.message, "bad");
    wake();
  }
}

/** The form for a new schedule. */
export function newScheduleView({ root, go }) {
  const create = async (text) => {
    const { data } = await ask("POST", "schedules/", { text });
    say("The schedule is created", "good");
    go(path(data.name));
  };
  render(root, head("New schedule"), mayWrite() ? scheduleForm(null, "{}", create) : empty("This key may not create schedules."));
}

const SCHEDULE_OPTIONS = {
  type: "object",
  properties: {
    timezone: { type: "string", description: "The IANA name, such as Europe/Berlin. UTC if empty." },
    missed: { enum: ["one", "none", "all"], description: "Which of the times that were missed run" },
    overlap: { enum: ["allow", "skip"], description: "Whether a time runs while the task of the time before has not ended" },
    max_runs: { type: "integer", minimum: 1, description: "The number of times after which the schedule ends" },
  },
};

/** The form of a schedule. `send` gets the body; its failures are shown. */
function scheduleForm(schedule, text, send) {
  const isNew = schedule === null;
  const isCelery = schedule?.celery !== undefined;
  const name = h("input", { type: "text", id: "schedule-name", required: true, maxlength: 128, autocomplete: "off" });
  const job = h("input", { type: "text", id: "schedule-job", value: schedule?.job ?? "", autocomplete: "off", spellcheck: "false" });
  const input = jsonField({}, isCelery ? "Task of Celery" : "Input", member(text, isCelery ? "celery" : "input"));
  const rule = ruleFields(schedule?.rule);
  const options = fieldFor(SCHEDULE_OPTIONS, SCHEDULE_OPTIONS, "Options", text);
  const start = h("input", { type: "datetime-local", id: "schedule-start", step: "1", value: toLocal(schedule?.start) });
  const end = h("input", { type: "datetime-local", id: "schedule-end", step: "1", value: toLocal(schedule?.end) });
  const problem = h("div", { class: "problem", role: "alert" });
  const labelled = (label, control) => h("div", { class: "field" }, h("label", { for: control.id }, label), control);
  const submit = async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    try {
      const times = { start: fromLocal(start.value) || null, end: fromLocal(end.value) || null };
      const members = { ...(isNew ? { name: name.value } : {}), ...(isCelery ? {} : { job: job.value }), rule: rule.rule(), ...times };
      await send(bodyOfSchedule(members, isCelery ? "celery" : "input", input.text(), options.text()));
    } catch (failure) {
      problem.replaceChildren(h("p", { class: "error lines" }, failure.message));
    }
  };
  return h(
    "form", { class: "panel schedule", onsubmit: submit, novalidate: true },
    isNew && labelled("Name", name), rule.element, !isCelery && labelled("Job", job), input.element, options.element,
    h("div", { class: "row" }, labelled("From", start), labelled("Until", end)), problem,
    h("div", { class: "actions" }, h("button", { class: "primary", type: "submit" }, isNew ? "Create the schedule" : "Save")),
  );
}

/** The body: members, the input as it was typed, and the options; an option that was emptied is null. */
function bodyOfSchedule(members, valueName, value, options) {
  const texts = Object.entries(members).map(([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`);
  if (value !== undefined) texts.push(`${JSON.stringify(valueName)}:${value}`);
  for (const name of Object.keys(SCHEDULE_OPTIONS.properties)) texts.push(`${JSON.stringify(name)}:${member(options ?? "{}", name) ?? "null"}`);
  return `{${texts.join(",")}}`;
}
