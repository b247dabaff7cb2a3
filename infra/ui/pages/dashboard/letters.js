// Dead letters: messages that could not be processed, each with the reason.

import { mayWrite } from "./actions.js";
import { ask, read, rights } from "./api.js";
import { confirmed } from "./dialog.js";
import { h, render } from "./dom.js";
import { counted, number } from "./format.js";
import { indented } from "./json.js";
import { ago, button, empty, failureBox, head, say, skeleton, table, taskLink } from "./parts.js";

const MOST = 100;

/** Shows the letters. The list is read when asked for: each reading receives messages from the queue. */
export function lettersView({ root, signal }) {
  const view = { root, letters: null, selected: new Set(), open: new Set() };
  view.load = async () => {
    try {
      const { data } = await read("dead-letters/", { limit: MOST }, signal);
      Object.assign(view, { letters: data, failure: null });
      rights.everyone = true;
    } catch (failure) {
      if (signal.aborted) return;
      if (failure.status === 403) rights.everyone = false;
      view.failure = failure;
    }
    draw(view);
  };
  draw(view);
  view.load();
}

function draw(view) {
  const { root, letters, failure } = view;
  const again = button("Refresh", view.load, { image: "retry" });
  const text = failure?.status === 403 ? "Only a key with the scope admin sees dead letters." : null;
  render(
    root, head("Dead letters", again),
    failure && (text ? empty(text) : failureBox(failure, view.load)),
    letters === null ? !failure && skeleton() : [bar(view), rows(view)],
  );
}

function bar(view) {
  if (!mayWrite() || view.letters.length === 0) return null;
  const count = view.selected.size;
  const act = (action) => () => actOnLetters(view, action);
  return h(
    "div", { class: "bulk-bar", role: "toolbar", "aria-label": "Several letters" },
    h("span", { class: "dim" }, count === 0 ? counted(view.letters.length, "letter") : `${number(count)} selected`),
    button("Send back", act("retry"), { image: "retry", disabled: count === 0 }),
    button("Delete", act("delete"), { image: "trash", kind: "danger", disabled: count === 0 }),
  );
}

function rows(view) {
  if (view.letters.length === 0) return empty("There are no dead letters.");
  const ids = view.letters.map((letter) => letter.id);
  const choose = (wanted, isIn) => {
    for (const id of wanted) view.selected[isIn ? "add" : "delete"](id);
    draw(view);
  };
  const box = (label, isIn, wanted) => h("input", { type: "checkbox", "aria-label": label, checked: isIn, onchange: (event) => choose(wanted, event.target.checked) });
  const columns = [
    mayWrite() && { name: box("Select all letters", ids.every((id) => view.selected.has(id)), ids), kind: "select", cell: ({ id }) => box(`Select the letter ${id}`, view.selected.has(id), [id]) },
    { name: "Reason", kind: "reason", cell: ({ reason }) => h("span", { class: "lines" }, reason) },
    { name: "Job", kind: "caller", cell: ({ job }) => job ?? h("span", { class: "dim" }, "unknown") },
    { name: "Task", kind: "id-cell", cell: ({ task_id: id }) => (id ? taskLink(id) : h("span", { class: "dim" }, "none")) },
    { name: "Sent", kind: "time", cell: (letter) => ago(letter.sent_at) },
    { name: "Received", kind: "count", cell: ({ receives }) => number(receives) },
    { name: "Message", kind: "body", cell: ({ body }) => h("details", {}, h("summary", {}, "Show"), h("pre", { class: "json", tabindex: "0", role: "region", "aria-label": "Message" }, laidOut(body))) },
  ].filter(Boolean);
  return table(columns, view.letters, { label: "Dead letters", key: ({ id }) => id, mark: ({ id }) => (view.selected.has(id) ? "selected" : "") });
}

/** A message with a line for each value, if the message is JSON and whole. */
function laidOut(body) {
  try {
    JSON.parse(body);
    return indented(body);
  } catch {
    return body;
  }
}

const LETTER_WORDS = {
  retry: ["Send back", "The task of each letter runs again; a message without a record goes to its queue again.", "primary", "sent back"],
  delete: ["Delete", "A deleted letter cannot be restored.", "danger", "deleted"],
};

async function actOnLetters(view, action) {
  const [verb, text, kind, done] = LETTER_WORDS[action];
  const chosen = view.letters.filter(({ id }) => view.selected.has(id));
  const letters = counted(chosen.length, "letter");
  if (!await confirmed(`${verb} ${letters}?`, h("p", {}, text), `${verb} ${letters}`, { kind })) return;
  try {
    const { data } = await ask("POST", `dead-letters/${action}`, { text: JSON.stringify({ receipts: chosen.map(({ receipt }) => receipt) }) });
    const good = data.outcomes.filter(({ status }) => status === 200).length;
    const bad = data.outcomes.filter(({ status }) => status !== 200);
    say(`${counted(good, "letter")} ${done}${bad.length > 0 ? `; ${counted(bad.length, "letter")} refused: ${bad[0].detail}` : ""}`, bad.length > 0 ? "bad" : "good");
    view.selected.clear();
  } catch (failure) {
    say(failure.message, "bad");
  }
  await view.load();
}
