// The jobs, and a form to submit a task of each.

import { mayWrite } from "./actions.js";
import { ask, read } from "./api.js";
import { h, render } from "./dom.js";
import { exampleOf, fieldFor, formOrJson } from "./fields.js";
import { jsonView, member } from "./json.js";
import { empty, failureBox, head, icon, skeleton, table, viewLink } from "./parts.js";

/** The options of a task, as `POST /tasks/` takes them. */
const OPTIONS = {
  type: "object",
  properties: {
    countdown: { type: "integer", minimum: 0, description: "Seconds to wait before the start" },
    eta: { type: "string", format: "date-time", description: "The earliest start, in place of a countdown" },
    expires: { type: "string", format: "date-time", description: "The latest start" },
    max_retries: { type: "integer", minimum: 0, maximum: 100, description: "Attempts after the first" },
    time_limit: { type: "integer", minimum: 1, maximum: 900, description: "Seconds of one attempt" },
    priority: { enum: ["normal", "high"], description: "High has workers of its own" },
  },
};

/** Reads the jobs: each with the text of its answer, since schemas may have large numbers. */
async function load(signal) {
  const { data, text } = await read("jobs/", null, signal);
  return { jobs: data, text };
}

/** Shows something once the jobs are read, or the failure. */
async function withJobs({ root, signal, again }, title, shown) {
  render(root, head(title), skeleton());
  try {
    shown(await load(signal));
  } catch (failure) {
    if (!signal.aborted) render(root, head(title), failureBox(failure, again));
  }
}

/** The list of jobs. */
export function jobsView(context) {
  const columns = [
    { name: "Job", kind: "job", cell: ({ name }) => viewLink(`jobs/${encodeURIComponent(name)}`, null, { class: "row-link" }, name) },
    { name: "Runs in", kind: "place", cell: ({ body }) => (body ? [`${body.kind} `, h("code", {}, body.place)] : "the worker") },
    { name: "Submitted", kind: "links", cell: ({ name }) => viewLink("tasks", name.includes("*") ? { job_prefix: name.split("*")[0] } : { job: name }, {}, "Tasks") },
  ];
  withJobs(context, "Jobs", ({ jobs }) => render(
    context.root, head("Jobs"),
    jobs.length === 0 ? empty("There are no jobs.") : table(columns, jobs, { label: "Jobs", key: ({ name }) => name }),
  ));
}

/** One job: the form, and its schemas. */
export function jobView(context) {
  const { root, name } = context;
  withJobs(context, name, ({ jobs, text }) => {
    const at = jobs.findIndex((job) => job.name === name);
    if (at < 0) {
      render(root, head(name), empty("There is no such job."));
      return;
    }
    const raw = member(text, at);
    const tasks = viewLink("tasks", name.includes("*") ? { job_prefix: name.split("*")[0] } : { job: name }, { class: "button" }, icon("tasks"), "Tasks");
    render(
      root, head(name, tasks),
      mayWrite() ? submitForm(context, jobs[at]) : empty("This key may not submit tasks."),
      schemaPanel("Schema of the input", member(raw, "input_schema")),
      schemaPanel("Schema of the output", member(raw, "output_schema")),
    );
  });
}

function schemaPanel(title, text) {
  return h("details", { class: "panel" }, h("summary", {}, title), jsonView(text, title));
}

/** The form that submits a task. */
function submitForm({ go }, job) {
  const schema = job.input_schema;
  const isPattern = job.name.includes("*");
  const name = h("input", { type: "text", id: "job-name", value: job.name, required: true, autocomplete: "off", spellcheck: "false" });
  const input = formOrJson(schema, schema, "Input", exampleOf(schema, schema));
  const options = fieldFor(OPTIONS, OPTIONS, "Options");
  const problem = h("div", { class: "problem", role: "alert" });
  // The same key for the same body: a second click, or a click after a lost answer, submits no second task.
  const sent = { body: null, key: null };
  const submit = async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    try {
      const body = bodyOf(name.value, input.text(), options.text());
      if (body !== sent.body) Object.assign(sent, { body, key: crypto.randomUUID?.() ?? String(Math.random()) });
      const { data } = await ask("POST", "tasks/", { text: body, headers: { "idempotency-key": sent.key } });
      go(`tasks/${encodeURIComponent(data.task_id)}`);
    } catch (failure) {
      problem.replaceChildren(h("p", { class: "error lines" }, failure.message));
    }
  };
  return h(
    "form", { class: "panel submit", onsubmit: submit, novalidate: true }, h("h2", {}, "New task"),
    isPattern && h("div", { class: "field" }, h("label", { for: "job-name" }, "Name of the job"), name),
    input.element,
    h("details", { class: "options" }, h("summary", {}, "Options"), options.element),
    problem,
    h("div", { class: "actions" }, h("button", { class: "primary", type: "submit" }, "Submit the task")),
  );
}

function bodyOf(job, input, options) {
  const given = options === undefined || options === "{}" ? "" : `,"options":${options}`;
  return `{"job":${JSON.stringify(job)},"input":${input ?? "null"}${given}}`;
}
