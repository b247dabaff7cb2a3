// The small parts that all views share.

import { h, s } from "./dom.js";
import { dateTime, relative } from "./format.js";

/** Icons as paths in a box of 16. */
const ICONS = {
  overview: "M2 9.5 5 6l3 2.5L14 3M2 13.5h12",
  tasks: "M2.5 4h11M2.5 8h11M2.5 12h7",
  schedules: "M8 4.5V8l2.5 1.5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0",
  jobs: "m4 5 3 3-3 3m5 0h4M2 2h12v12H2z",
  letters: "M2 4h12v9H2zm0 .5 6 5 6-5",
  retry: "M13 8a5 5 0 1 1-1.5-3.6M12.5 1.5v3h-3",
  cancel: "m4 4 8 8m0-8-8 8",
  pause: "M5.5 3.5v9m5-9v9",
  play: "m5 3 8 5-8 5z",
  plus: "M8 3v10M3 8h10",
  copy: "M5.5 5.5h8v8h-8zm-3 5v-8h8",
  search: "m10.5 10.5 3.5 3.5M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0",
  edit: "m3 13 .7-3L11 2.7l2.3 2.3L6 12.3z",
  trash: "M3 4.5h10M6 4.5v-2h4v2m-5.5 0 .5 9h6l.5-9",
  out: "M9.5 3H13v3.5M13 3 7.5 8.5M11 9.5V13H3V5h3.5",
  theme: "M8 2a6 6 0 1 0 0 12zm0 0a6 6 0 0 1 0 12",
  help: "M6.3 6.3a1.8 1.8 0 1 1 2.5 1.6c-.5.3-.8.6-.8 1.3M8 11.2v.1M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0",
  key: "M9.5 6.5 14 2m-2 2 1.5 1.5M10 9a3 3 0 1 1-6 0 3 3 0 0 1 6 0",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3M8 11.7v.2",
};

/** An icon, which says nothing to a screen reader. */
export function icon(name) {
  const path = s("path", { d: ICONS[name] });
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

/** A button with a text and, if wanted, an icon. */
export function button(text, onclick, { kind = "", image, title, disabled, pressed } = {}) {
  const attributes = { type: "button", class: kind, onclick, title, disabled, "aria-pressed": pressed };
  return h("button", attributes, image && icon(image), h("span", {}, text));
}

/** A button that is an icon, with a name. */
export function iconButton(image, name, onclick, attributes = {}) {
  const all = { type: "button", class: "icon-button", "aria-label": name, title: name, onclick, ...attributes };
  return h("button", all, icon(image));
}

/** A link to a view. `query` is an object or URLSearchParams. */
export function viewLink(path, query, attributes, ...children) {
  return h("a", { href: viewAddress(path, query), ...attributes }, ...children);
}

/** The address of a view, such as `#/tasks?state=failed`. */
export function viewAddress(path, query) {
  const entries = query instanceof URLSearchParams ? [...query] : Object.entries(query ?? {});
  const kept = entries.filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(kept).toString();
  return `#/${path}${text === "" ? "" : `?${text}`}`;
}

/** The link to one task. */
export function taskLink(id, text = shortId(id), attributes) {
  return viewLink(`tasks/${encodeURIComponent(id)}`, null, { class: "id", title: id, ...attributes }, text);
}

/** The first part of a UUID; other ids in full, up to 20 characters. */
export function shortId(id) {
  if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id)) return id.slice(0, 8);
  return id.length > 20 ? `${id.slice(0, 19)}…` : id;
}

/** A state as a coloured word. */
export function stateBadge(state) {
  return h("span", { class: `badge state-${state}` }, h("i", { "aria-hidden": "true" }), state);
}

/** A time as its distance from now, and in full when pointed at. */
export function ago(at) {
  if (!at) return h("span", { class: "dim" }, "–");
  return h("time", { datetime: at, title: dateTime(at) }, relative(at));
}

/** A time in full, and its distance from now. */
export function fullTime(at) {
  if (!at) return null;
  return h("time", { datetime: at, title: at }, dateTime(at), " ", h("span", { class: "dim" }, `(${relative(at)})`));
}

/** The head of a view: a title, and buttons. */
export function head(title, ...actions) {
  return h("header", { class: "head" }, h("h1", { tabindex: "-1" }, title), h("div", { class: "actions" }, actions));
}

/** A box with a title. */
export function panel(title, ...children) {
  return h("section", { class: "panel" }, h("h2", {}, title), children);
}

/** Names with values; values that are null or undefined are left out. */
export function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** A sentence in place of content. */
export function empty(...children) {
  return h("div", { class: "empty" }, children);
}

/** Grey bars while the first answer is under way. */
export function skeleton(rows = 6) {
  const bars = Array.from({ length: rows }, () => h("div", { class: "bar" }));
  return h("div", { class: "skeleton", role: "status", "aria-label": "Loading" }, bars);
}

/** A failed request, with a way to repeat the request. */
export function failureBox(failure, again) {
  const what = failure.status === 0 ? "No answer" : `Answer ${failure.status}`;
  return h(
    "div", { class: "failure", role: "alert" }, icon("warning"),
    h("div", {}, h("strong", {}, what), h("p", { class: "lines" }, failure.message)),
    again && button("Try again", again, { image: "retry" }),
  );
}

/**
 * A table. A column has a `name`, a `cell` that shows a row, and may have a `kind` (a class). A table without
 * anything in it to focus is `isBare`: the table itself takes the focus, to be scrolled by the keyboard.
 */
export function table(columns, rows, { label, key = () => undefined, mark = () => "", isBare = false } = {}) {
  const header = columns.map(({ name, kind }) => h("th", { scope: "col", class: kind }, name));
  const body = rows.map((row) => h(
    "tr", { key: key(row), class: mark(row) },
    columns.map(({ name, cell, kind }) => h("td", { class: kind, "data-name": typeof name === "string" ? name : null }, cell(row))),
  ));
  return h(
    "div", { class: "scroll", ...(isBare ? { tabindex: "0", role: "region", "aria-label": label } : {}) },
    h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, header)), h("tbody", {}, body)),
  );
}

/** A button that copies a text. */
export function copyButton(text, name) {
  return iconButton("copy", name, async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("The browser did not allow copying", "bad");
    }
  });
}

/** Shows a sentence for some seconds. Screen readers read the sentence. */
export function say(text, kind = "") {
  const note = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 6_000);
}
