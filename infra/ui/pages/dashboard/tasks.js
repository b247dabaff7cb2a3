// The list of tasks.

import { ACTIONS, actOnSelected, mayWrite } from "./actions.js";
import { read, rights } from "./api.js";
import { actOnAll } from "./bulk.js";
import { h, lazy, render } from "./dom.js";
import { filterForm, filterTags, filtersOf, STATES } from "./filters.js";
import { bounded, counted, duration, number } from "./format.js";
import { repeat } from "./live.js";
import { ago, button, empty, failureBox, head, icon, skeleton, stateBadge, table, taskLink, viewAddress, viewLink } from "./parts.js";

/** The tasks of one page. */
const PAGE = 50;
/** The most requests for one page: a request may find few tasks that match, or none. */
const MOST_REQUESTS = 5;
const EVERY_MS = 3_000;

/** Shows the list that the view's parameters describe. */
export function tasksView({ root, parameters, signal, go }) {
  const view = {
    root, signal, filters: filtersOf(parameters), cursor: parameters.get("cursor"),
    selected: new Set(), tasks: null, next: null, counts: null, failure: null, isOpen: false,
  };
  view.change = (filters) => go("tasks", filters);
  view.draw = () => draw(view);
  view.reload = async () => {
    const { tasks, next } = await load(view);
    Object.assign(view, { tasks, next, failure: null });
    view.draw();
    return view.cursor === null;
  };
  view.draw();
  const failed = (failure) => {
    view.failure = failure;
    view.draw();
  };
  repeat(view.reload, EVERY_MS, signal, failed);
  repeat(() => loadCounts(view), EVERY_MS * 2, signal, () => {});
  return { keys: listKeys(view) };
}

/** The tasks of the page. */
async function load(view) {
  const tasks = [];
  let next = view.cursor;
  for (let count = 0; count < MOST_REQUESTS; count += 1) {
    const query = { ...view.filters, limit: PAGE - tasks.length, cursor: next };
    const answer = await read("tasks/", query, view.signal);
    tasks.push(...answer.data);
    next = answer.next;
    if (next === null || tasks.length >= PAGE) break;
  }
  return { tasks, next };
}

/** The number of tasks in each state, for the chips. */
async function loadCounts(view) {
  const { data } = await read("stats/", { window: 60 }, view.signal);
  view.counts = data.states;
  rights.everyone = data.queues !== undefined;
  view.draw();
}

function draw(view) {
  const filterButton = button("Filters", () => toggleForm(view), { image: "search", pressed: String(view.isOpen) });
  const { tasks, failure } = view;
  render(
    view.root,
    head("Tasks", filterButton, mayWrite() && viewLink("jobs", null, { class: "button" }, icon("plus"), "New task")),
    chips(view),
    view.isOpen && lazy("form", true, () => filterForm(view.filters, view.change)),
    filterTags(view.filters, view.change),
    failure && failureBox(failure, view.reload),
    tasks === null ? !failure && skeleton(10) : [bulkBar(view), rows(view), pager(view)],
  );
}

function toggleForm(view) {
  view.isOpen = !view.isOpen;
  view.draw();
  if (view.isOpen) view.root.querySelector(".filters input").focus();
}

/** A link for each state, with the number of its tasks. */
function chips({ filters, counts }) {
  const chip = (state, label, count) => viewLink(
    "tasks", { ...filters, state },
    { class: `chip state-${state ?? "any"}`, "aria-current": (filters.state ?? "") === (state ?? "") ? "true" : null },
    state && h("i", { "aria-hidden": "true" }), label, count !== undefined && h("b", {}, count),
  );
  const one = (state) => chip(state, state, counts?.[state] && bounded(counts[state]));
  return h("nav", { class: "chips", "aria-label": "States" }, chip(undefined, "all"), STATES.map(one));
}

/** The buttons for the selected tasks, or for all that match. */
function bulkBar(view) {
  if (!mayWrite() || view.tasks.length === 0) return null;
  const count = view.selected.size;
  const run = async (name) => {
    if (count === 0) return actOnAll(name, view.filters);
    if (await actOnSelected(name, [...view.selected])) view.selected.clear();
    return view.draw();
  };
  // The service changes all that match only for a filter, and knows none by id there.
  const obstacle = count === 0 && refusalOf(view.filters);
  const possible = Object.entries(ACTIONS).filter(([, action]) => !view.filters.state || action.states.includes(view.filters.state));
  if (possible.length === 0) return null;
  const buttons = possible.map(([name, { verb, image }]) => button(count === 0 ? `${verb} all that match` : verb, () => run(name), {
    image, disabled: Boolean(obstacle), title: obstacle || null,
  }));
  const label = count === 0 ? `${counted(view.tasks.length, "task")} on this page` : `${number(count)} selected`;
  const clear = count > 0 && button("Clear", () => { view.selected.clear(); view.draw(); }, { kind: "quiet" });
  return h("div", { class: "bulk-bar", role: "toolbar", "aria-label": "Several tasks" }, h("span", { class: "dim" }, label), buttons, clear);
}

function refusalOf(filters) {
  if (filters.id_prefix !== undefined) return "Not possible with a filter by id";
  return Object.keys(filters).length === 0 && "Choose a filter first";
}

function rows(view) {
  if (view.tasks.length === 0) {
    return empty(view.next === null ? "No task matches." : "No task matches so far.");
  }
  const hasCallers = view.tasks.some((task) => task.caller || task.origin);
  const columns = COLUMNS.filter(({ kind }) => kind !== "caller" || hasCallers);
  const shown = mayWrite() ? [selection(view), ...columns] : columns;
  const options = { label: "Tasks", key: (task) => task.task_id, mark: (task) => (view.selected.has(task.task_id) ? "selected" : "") };
  return table(shown, view.tasks, options);
}

function selection(view) {
  const ids = view.tasks.map((task) => task.task_id);
  const isAll = ids.every((id) => view.selected.has(id));
  const toggle = (wanted, isIn) => {
    for (const id of wanted) view.selected[isIn ? "add" : "delete"](id);
    view.draw();
  };
  const box = (label, isIn, wanted) => h("input", {
    type: "checkbox", "aria-label": label, checked: isIn, onchange: (event) => toggle(wanted, event.target.checked),
  });
  return {
    name: box("Select all tasks of this page", isAll, ids),
    kind: "select",
    cell: ({ task_id: id }) => box(`Select the task ${id}`, view.selected.has(id), [id]),
  };
}

const COLUMNS = [
  { name: "State", kind: "state", cell: (task) => stateBadge(task.state) },
  { name: "Job", kind: "job", cell: (task) => viewLink(`tasks/${encodeURIComponent(task.task_id)}`, null, { class: "row-link" }, task.job ?? "unknown") },
  { name: "Task", kind: "id-cell", cell: (task) => taskLink(task.task_id, undefined, { tabindex: "-1" }) },
  { name: "Created", kind: "time", cell: (task) => ago(task.created_at) },
  { name: "Waited", kind: "length", cell: (task) => duration(task.queue_wait_ms) },
  { name: "Ran", kind: "length", cell: (task) => duration(runningTime(task)) },
  { name: "Caller", kind: "caller", cell: (task) => task.caller ?? (task.origin ? h("span", { class: "dim" }, task.origin) : null) },
  { name: "Note", kind: "note", cell: note },
];

/** Milliseconds from the first attempt to the end, or to now. */
export function runningTime({ started_at: from, finished_at: to }) {
  return from ? Math.max(0, (to ? new Date(to) : Date.now()) - new Date(from)) : null;
}

/** What is most worth knowing of a task: its error, its progress, or its time. */
function note(task) {
  if (task.error) return h("span", { class: "error", title: task.error.message }, h("b", {}, task.error.type), " ", task.error.message);
  if (task.state === "running" && task.progress) return progressBar(task.progress);
  if (task.state === "scheduled" || task.state === "retrying") return h("span", { class: "dim" }, "next ", ago(task.next?.at));
  return task.run > 1 ? h("span", { class: "dim" }, `run ${number(task.run)}`) : null;
}

/** The progress that a job reports. */
export function progressBar({ done, total, message }) {
  const share = total ? Number(done) / Number(total) : null;
  const text = total ? `${number(done)} of ${number(total)}` : number(done);
  return h(
    "span", { class: "progress" },
    share !== null && h("progress", { max: 1, value: share, "aria-label": `Progress: ${text}` }),
    h("span", {}, text, message && h("span", { class: "dim" }, ` ${message}`)),
  );
}

function pager(view) {
  const isFirst = view.cursor === null;
  if (isFirst && view.next === null) return null;
  return h(
    "nav", { class: "pager", "aria-label": "Pages" },
    !isFirst && viewLink("tasks", view.filters, { class: "button" }, "Newest"),
    view.next !== null && viewLink("tasks", { ...view.filters, cursor: view.next }, { class: "button", rel: "next" }, "Older"),
  );
}

/** Keys of the list: j and k move, x selects, n and p turn pages, f opens the filters. */
function listKeys(view) {
  const links = () => [...view.root.querySelectorAll(".row-link")];
  const move = (by) => {
    const all = links();
    const at = all.indexOf(document.activeElement);
    all[Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  };
  const turn = (query) => { location.hash = viewAddress("tasks", query); };
  return {
    j: () => move(1),
    k: () => move(-1),
    x: () => document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click(),
    f: () => toggleForm(view),
    n: () => view.next !== null && turn({ ...view.filters, cursor: view.next }),
    p: () => view.cursor !== null && history.back(),
  };
}
