// The frame of the page: navigation, the key, keys of the keyboard, themes.

import { AUTH, home, key, learnRights, rights, setKey } from "./api.js";
import { openDialog, hasDialog } from "./dialog.js";
import { h, isTyping, render } from "./dom.js";
import { jobsView, jobView } from "./jobs.js";
import { lettersView } from "./letters.js";
import { beginLive, live, setLive } from "./live.js";
import { overviewView } from "./overview.js";
import { button, icon, iconButton, viewAddress, viewLink } from "./parts.js";
import { newScheduleView, scheduleView, schedulesView } from "./schedules.js";
import { taskView } from "./task.js";
import { tasksView } from "./tasks.js";

/** The views in the navigation: the path, the name, and the key after `g`. */
const PLACES = [
  ["overview", "Overview", "o"],
  ["tasks", "Tasks", "t"],
  ["schedules", "Schedules", "s"],
  ["jobs", "Jobs", "j"],
  ["letters", "Dead letters", "d"],
];

/** The view of each first part of a path; the second part is a name. */
const VIEWS = {
  overview: overviewView,
  tasks: (context) => (context.name === null ? tasksView : taskView)(context),
  schedules: (context) => (context.name === null ? schedulesView : scheduleView)(context),
  "new-schedule": newScheduleView,
  jobs: (context) => (context.name === null ? jobsView : jobView)(context),
  letters: lettersView,
};

const SHORTCUTS = [
  ["g then o, t, s, j, d", "overview, tasks, schedules, jobs, dead letters"],
  ["/", "find a task by its id"],
  ["j, k", "next and previous task of the list"],
  ["Enter", "open the task"],
  ["x", "select the task"],
  ["f", "filters"],
  ["n, p", "older page, page before"],
  ["r, c", "retry or cancel the task that is open"],
  [".", "pause or resume the updates"],
  ["?", "this list"],
];

const page = { root: null, current: null, leave: new AbortController(), pressed: null };

function frame() {
  const nav = h("nav", { class: "places", "aria-label": "Views" });
  const tools = h("div", { class: "tools" });
  const find = h("input", { type: "search", id: "find", placeholder: "Task id", "aria-label": "Find a task by its id", autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "find", role: "search", onsubmit: (event) => { event.preventDefault(); findTask(find); } }, icon("search"), find, h("kbd", { "aria-hidden": "true" }, "/"));
  page.root = h("main", { id: "view", tabindex: "-1" });
  home.append(
    h("a", { class: "skip", href: "#view", onclick: (event) => { event.preventDefault(); page.root.focus(); } }, "To the content"),
    h("aside", {}, h("a", { class: "brand", href: "#/overview" }, mark(), "async-service"), form, nav, tools),
    page.root,
    h("div", { id: "toasts", role: "status", "aria-live": "polite" }),
  );
  const redraw = () => {
    render(nav, PLACES.filter(([path]) => path !== "letters" || rights.everyone !== false).map(place));
    render(tools, toolButtons(redraw));
  };
  live.listeners.add(redraw);
  page.redraw = redraw;
}

function mark() {
  return h("span", { class: "mark", "aria-hidden": "true" });
}

function place([path, name]) {
  const isHere = page.current === path || (path === "schedules" && page.current === "new-schedule");
  return viewLink(path, null, { key: path, "aria-current": isHere ? "page" : null }, icon(path), h("span", {}, name));
}

const LIVE_WORDS = { live: "Live", waiting: "Live", off: "Paused", hidden: "Paused", failing: "No answer" };

function toolButtons(redraw) {
  const word = LIVE_WORDS[live.state];
  return [
    h("button", { type: "button", class: `live ${live.state}`, "aria-pressed": String(live.isOn), title: "Updates (.)", onclick: () => setLive(!live.isOn) }, h("i", { "aria-hidden": "true" }), h("span", {}, word)),
    rights.write === false && h("span", { class: "tag", title: "This key may only read" }, "read only"),
    iconButton("theme", `Theme: ${theme()}`, () => { nextTheme(); redraw(); }),
    iconButton("help", "Keys of the keyboard", showShortcuts),
    AUTH !== "none" && key() !== null && iconButton("key", "Forget the key", () => { setKey(null); start(); }),
  ];
}

async function findTask(field) {
  const text = field.value.trim();
  if (text === "") return;
  field.value = "";
  field.blur();
  const isWhole = text.length >= 36 || !/^[0-9a-f-]+$/i.test(text);
  location.hash = isWhole ? `#/tasks/${encodeURIComponent(text)}` : viewAddress("tasks", { id_prefix: text.toLowerCase() });
}

/** Shows the view of the address. */
function show() {
  page.leave.abort();
  document.querySelector("dialog[open]")?.close();
  page.leave = new AbortController();
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [place, name] = path.split("/");
  page.current = place in VIEWS ? place : "overview";
  beginLive();
  const root = h("div", { class: `view ${page.current}` });
  page.root.replaceChildren(root);
  if (needsKey()) {
    page.view = null;
    askForKey(root);
    return;
  }
  const context = {
    root, signal: page.leave.signal, parameters: new URLSearchParams(query ?? ""), again: show,
    name: name ? decodeURIComponent(name) : null,
    go: (target, parameters) => { location.hash = viewAddress(target, parameters); },
  };
  page.view = VIEWS[page.current](context) ?? null;
  const title = PLACES.find(([known]) => known === page.current)?.[1] ?? "Schedules";
  document.title = `${context.name ?? title} · async-service`;
  scrollTo(0, 0);
  // The element that had the focus may be gone with the view before.
  if (document.activeElement === document.body) page.root.focus({ preventScroll: true });
}

function needsKey() {
  return AUTH !== "none" && key() === null;
}

/** Asks for the key, and tries it. */
function askForKey(root, refusal) {
  const noun = AUTH === "token" ? "token" : "API key";
  const field = h("input", { type: "password", id: "key", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "key-note" });
  const submit = async (event) => {
    event.preventDefault();
    setKey(field.value.trim());
    start();
  };
  render(root, h(
    "form", { class: "panel ask-key", onsubmit: submit }, mark(),
    h("h1", {}, "async-service"),
    refusal && h("p", { class: "error", role: "alert" }, refusal),
    h("label", { for: "key" }, AUTH === "token" ? "Token" : "API key"), field,
    h("p", { class: "dim", id: "key-note" }, `The ${noun} stays in this tab, and goes to this service alone. Its scopes decide what can be seen and done.`),
    h("button", { class: "primary", type: "submit" }, "Open the dashboard"),
  ));
  field.focus();
}

/** A key that is refused, at any time: the page asks for another. */
home.addEventListener("refused", ({ detail }) => {
  if (key() === null) return;
  setKey(null);
  show();
  askForKey(page.root.firstChild, detail);
});

/** Begins anew, after a change of the key. */
async function start() {
  show();
  if (needsKey()) return;
  await learnRights();
  // What was shown meanwhile may have buttons.
  if (rights.write === false) show();
}

function showShortcuts() {
  const rows = SHORTCUTS.map(([keys, what]) => h("div", {}, h("dt", {}, keys.split(/(, | then )/).map((part) => (/^(, | then )$/.test(part) ? part : h("kbd", {}, part)))), h("dd", {}, what)));
  const isOn = stored("keys") !== "off";
  const box = h("input", { type: "checkbox", checked: isOn, onchange: (event) => store("keys", event.target.checked ? "on" : "off") });
  openDialog("Keys of the keyboard", [h("dl", { class: "facts keys" }, rows), h("label", { class: "check" }, box, " Single keys do something")]);
}

function stored(name) {
  try {
    return localStorage.getItem(`async-service.${name}`);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(`async-service.${name}`, value);
  } catch {
    // The setting lasts as long as the page.
  }
}

const THEMES = ["system", "light", "dark"];

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

function setTheme(name) {
  document.documentElement.dataset.theme = THEMES.includes(name) ? name : "system";
}

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  store("theme", theme());
}

/** Keys that work everywhere. A view has further keys. */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || hasDialog() || stored("keys") === "off") return;
  const first = page.pressed;
  page.pressed = null;
  if (first === "g") {
    const found = PLACES.find(([, , letter]) => letter === event.key);
    if (found) location.hash = viewAddress(found[0]);
    return;
  }
  const keys = {
    g: () => { page.pressed = "g"; },
    "/": () => document.getElementById("find").focus(),
    ".": () => setLive(!live.isOn),
    "?": showShortcuts,
    ...page.view?.keys,
  };
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
}

setTheme(stored("theme"));
frame();
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", show);
start();
