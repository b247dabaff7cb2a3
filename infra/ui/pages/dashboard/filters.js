// The filters of the list of tasks, which are the parameters of the view's address.

import { read } from "./api.js";
import { h } from "./dom.js";
import { dateTime, fromLocal, toLocal } from "./format.js";
import { button, iconButton } from "./parts.js";

/** The states of a task, in the order of a task's life. */
export const STATES = [
  "scheduled", "pending", "running", "retrying", "completed", "failed", "cancelled", "expired", "moved",
];

/** The states that a retry leaves, and those that a cancellation leaves. */
export const RETRIED = ["failed", "cancelled", "expired"];
export const CANCELLED = ["scheduled", "pending", "running", "retrying"];

/** Each filter: the parameter of the API, its name for people, and the kind of its field. */
const FILTERS = [
  ["state", "State", "state"],
  ["job", "Job", "job"],
  ["job_prefix", "Job begins with", "text"],
  ["caller", "Caller", "text"],
  ["schedule", "Schedule", "text"],
  ["error", "Error type", "text"],
  ["created_after", "Created from", "time"],
  ["created_before", "Created before", "time"],
  ["id_prefix", "Id begins with", "text"],
];

/** The filters in a view's parameters: those of the API that have a value. */
export function filtersOf(parameters) {
  const given = FILTERS.map(([name]) => [name, parameters.get(name)]);
  return Object.fromEntries(given.filter(([, value]) => value));
}

/** The filters in words, each with its name and its parameter. */
export function told(filters) {
  return FILTERS.filter(([name]) => filters[name]).map(([name, label, kind]) => (
    { name, label, value: kind === "time" ? dateTime(filters[name]) : filters[name] }
  ));
}

let jobNames = null;

/** The names of the jobs, for suggestions. */
async function knownJobs() {
  if (jobNames === null) {
    const jobs = await read("jobs/").catch(() => ({ data: [] }));
    jobNames = jobs.data.map((job) => job.name);
  }
  return jobNames;
}

/** The filters that are set, each with a button that takes the filter away. */
export function filterTags(filters, change) {
  const tags = told(filters).filter(({ name }) => name !== "state");
  if (tags.length === 0) return null;
  const tag = ({ name, label, value }) => h(
    "span", { class: "tag", key: name }, h("span", { class: "dim" }, `${label} `), value,
    iconButton("cancel", `Remove the filter ${label}`, () => change({ ...filters, [name]: undefined })),
  );
  return h("div", { class: "tags" }, tags.map(tag), button("Clear all", () => change({ state: filters.state }), { kind: "quiet" }));
}

/** The form with a field for each filter. `change` gets the new filters. */
export function filterForm(filters, change) {
  const list = h("datalist", { id: "job-names" });
  knownJobs().then((names) => list.append(...names.map((name) => h("option", { value: name.replace("*", "") }))));
  const fields = FILTERS.filter(([, , kind]) => kind !== "state").map((filter) => filterField(filter, filters));
  const submit = (event) => {
    event.preventDefault();
    const entered = [...new FormData(event.target)];
    const values = entered.map(([name, value]) => [name, isTime(name) ? fromLocal(value) : value.trim()]);
    change({ state: filters.state, ...Object.fromEntries(values) });
  };
  return h(
    "form", { class: "filters panel", onsubmit: submit }, fields, list,
    h("div", { class: "actions" }, h("button", { class: "primary", type: "submit" }, "Apply")),
  );
}

function isTime(name) {
  return FILTERS.some(([given, , kind]) => given === name && kind === "time");
}

function filterField([name, label, kind], filters) {
  const value = filters[name] ?? "";
  const attributes = { name, autocomplete: "off", spellcheck: "false" };
  if (kind === "time") Object.assign(attributes, { type: "datetime-local", step: "1", value: toLocal(value) });
  else Object.assign(attributes, { type: "text", value, list: kind === "job" ? "job-names" : null });
  return h("label", {}, h("span", {}, label), h("input", attributes));
}
