// What an operator asks first: what runs, what fails, what waits.

import { read, rights } from "./api.js";
import { bars, sparkline, stackedBars } from "./charts.js";
import { h, render } from "./dom.js";
import { STATES } from "./filters.js";
import { bounded, clock, counted, duration, number, percent } from "./format.js";
import { repeat } from "./live.js";
import { empty, failureBox, head, icon, panel, skeleton, table, viewLink } from "./parts.js";

const EVERY_MS = 5_000;

/** The windows to choose from, in seconds. */
const WINDOWS = [[900, "15 min"], [3_600, "1 hour"], [21_600, "6 hours"], [86_400, "24 hours"]];
const DEFAULT_WINDOW = 3_600;

/** The most samples of a queue's depth. The samples are of this tab. */
const MOST_SAMPLES = 120;

/** The ends of a task that a chart adds up: its own two and the rest. */
const SERIES = [["completed", "completed", "good"], ["failed", "failed", "bad"], ["others", "others", "other"]];
const OTHERS = ["cancelled", "expired", "moved"];

/** The depth of each queue, by its name, as seen by this tab. */
const depths = new Map();

/** Shows the numbers, and updates them. */
export function overviewView({ root, parameters, signal }) {
  const given = Number(parameters.get("window"));
  const view = { root, seconds: WINDOWS.some(([seconds]) => seconds === given) ? given : DEFAULT_WINDOW, stats: null };
  const load = async () => {
    const { data } = await read("stats/", { window: view.seconds }, signal);
    view.stats = data;
    view.failure = null;
    rights.everyone = data.queues !== undefined;
    sample(data);
    draw(view);
  };
  view.load = load;
  draw(view);
  repeat(load, EVERY_MS, signal, (failure) => {
    view.failure = failure;
    draw(view);
  });
}

function sample({ now, queues }) {
  for (const queue of queues ?? []) {
    const samples = depths.get(queue.name) ?? [];
    if (samples.at(-1)?.now !== now) samples.push({ now, depth: queue.visible + queue.in_flight + queue.delayed });
    depths.set(queue.name, samples.slice(-MOST_SAMPLES));
  }
}

function draw({ root, seconds, stats, failure, load }) {
  const choice = WINDOWS.map(([given, label]) => viewLink("overview", { window: given === DEFAULT_WINDOW ? null : given }, { "aria-current": given === seconds ? "true" : null }, label));
  render(
    root,
    head("Overview", h("nav", { class: "segments", "aria-label": "Window" }, choice)),
    failure && failureBox(failure, load),
    stats ? content(stats, seconds) : !failure && skeleton(12),
  );
}

function content(stats, seconds) {
  return [
    attention(stats),
    tiles(stats.states),
    throughput(stats),
    h("div", { class: "columns" }, jobsPanel(stats, seconds), stats.queues && queuesPanel(stats.queues)),
    stats.queues === undefined && h("p", { class: "dim" }, `These numbers are of the tasks that this key submitted${stats.at_least ? ": the newest of them" : ""}.`),
  ];
}

/** What needs a person, each with a link to the tasks. */
function attention(stats) {
  const failed = stats.jobs.reduce((sum, job) => sum + job.failed, 0);
  const late = stats.schedules;
  const notes = [
    failed > 0 && [`${counted(failed, "task")} failed in this window`, "tasks", { state: "failed" }],
    stats.dead_letters > 0 && [`${counted(stats.dead_letters, "dead letter")}`, "letters", null],
    late?.count > 0 && [`${bounded(late)} ${late.count === 1 && !late.at_least ? "schedule is" : "schedules are"} late`, "schedules", null],
  ].filter(Boolean);
  if (notes.length === 0) return null;
  const note = ([text, path, query]) => h("li", {}, viewLink(path, query, {}, icon("warning"), text));
  return h("ul", { class: "attention", "aria-label": "Needs attention" }, notes.map(note));
}

/** The number of tasks in each state. */
function tiles(states) {
  const tile = (state) => {
    const count = states[state] ?? { count: 0 };
    return h("li", {}, viewLink(
      "tasks", { state }, { class: `tile state-${state} ${count.count === 0 ? "none" : ""}` },
      h("b", { title: count.at_least ? "at least" : null }, bounded(count)), h("span", {}, h("i", { "aria-hidden": "true" }), state),
    ));
  };
  return h("ul", { class: "tiles", "aria-label": "Tasks by state" }, STATES.map(tile));
}

/** How many tasks of a step ended in this way, of all jobs or of one. */
function ended(jobs, name) {
  const names = name === "others" ? OTHERS : [name];
  return Object.values(jobs).reduce((sum, job) => sum + names.reduce((part, one) => part + (job[one] ?? 0), 0), 0);
}

function seriesOf(stats, job) {
  const pick = (step, name) => ended(job === undefined ? step.jobs : { job: step.jobs[job] ?? {} }, name);
  const names = SERIES.map(([name]) => name);
  return bars(stats.steps, new Date(stats.now).getTime(), stats.window_seconds, stats.step_seconds, names, pick);
}

function throughput(stats) {
  return panel("Finished tasks", stackedBars(seriesOf(stats), SERIES, "Finished tasks"));
}

function jobsPanel(stats, seconds) {
  if (stats.jobs.length === 0) return panel("Jobs", empty("No task has ended in this window."));
  const after = new Date(new Date(stats.now) - seconds * 1_000).toISOString();
  const link = (job, state, ...text) => viewLink("tasks", { job: job.job, state, created_after: after }, {}, ...text);
  const total = (job) => job.completed + job.failed + job.cancelled + job.expired + job.moved;
  const columns = [
    { name: "Job", kind: "job", cell: (job) => viewLink("tasks", { job: job.job }, { class: "row-link" }, job.job) },
    { name: "Trend", kind: "trend", cell: (job) => sparkline(seriesOf(stats, job.job).map((bar) => bar.completed + bar.failed + bar.others), `Trend of ${job.job}`) },
    { name: "Completed", kind: "count", cell: (job) => number(job.completed) },
    { name: "Failed", kind: "count", cell: (job) => (job.failed > 0 ? link(job, "failed", h("span", { class: "error" }, `${number(job.failed)} (${percent(job.failed / total(job))})`)) : "0") },
    { name: "Retries", kind: "count", cell: (job) => number(job.retries) },
    { name: "Waited p50 / p95", kind: "length", cell: (job) => quantiles(job.wait_ms) },
    { name: "Ran p50 / p95", kind: "length", cell: (job) => quantiles(job.run_ms) },
  ];
  return panel("Jobs", table(columns, stats.jobs, { label: "Jobs", key: (job) => job.job }));
}

function quantiles(found) {
  return found ? `${duration(found.p50)} / ${duration(found.p95)}` : h("span", { class: "dim" }, "–");
}

function queuesPanel(queues) {
  const columns = [
    { name: "Queue", kind: "job", cell: (queue) => queue.name },
    { name: "Depth", kind: "trend", cell: (queue) => depthLine(queue) },
    { name: "Visible", kind: "count", cell: (queue) => number(queue.visible) },
    { name: "In flight", kind: "count", cell: (queue) => number(queue.in_flight) },
    { name: "Delayed", kind: "count", cell: (queue) => number(queue.delayed) },
    { name: "Oldest", kind: "length", cell: (queue) => (queue.oldest_seconds === null ? h("span", { class: "dim" }, "–") : duration(queue.oldest_seconds * 1_000)) },
  ];
  return panel("Queues", table(columns, queues, { label: "Queues", key: (queue) => queue.name, isBare: true }));
}

function depthLine({ name }) {
  const samples = depths.get(name) ?? [];
  const since = samples.length > 0 ? clock(samples[0].now) : "now";
  return sparkline(samples.map(({ depth }) => depth), `Depth of ${name} since ${since}`, "depth");
}
