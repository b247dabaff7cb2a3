// Builds elements, and updates a part of the page in place. Every text becomes a text node: no function
// here, and none elsewhere on the page, makes HTML of a text.

const SVG_SPACE = "http://www.w3.org/2000/svg";

/** The members that are properties of an element as well as attributes. */
const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "indeterminate"]);

/** An HTML element with attributes, listeners (`onclick` and so on) and children. */
export function h(tag, attributes, ...children) {
  return built(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return built(document.createElementNS(SVG_SPACE, tag), attributes, children);
}

function built(element, attributes, children) {
  element.listeners = {};
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "key") element.key = value;
    else if (name === "style") Object.assign(element.style, value);
    else if (name.startsWith("on")) element[name] = element.listeners[name] = value;
    else if (value === undefined || value === null || value === false) continue;
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

/**
 * Adds children: nodes, texts, numbers, and lists of these. Null, undefined, booleans and empty texts add
 * nothing.
 */
export function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === "" || typeof child === "boolean") continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Makes `root` contain `children`. Elements that stay the same keep their focus, their scroll position and
 * what a user has opened; an element with a `key` is found by the key.
 */
export function render(root, ...children) {
  const fresh = document.createDocumentFragment();
  append(fresh, children);
  updateChildren(root, fresh);
  for (const element of root.querySelectorAll(".lazy")) {
    if (element.shown === element.version) continue;
    element.shown = element.version;
    element.replaceChildren();
    append(element, [element.build()]);
  }
}

/**
 * An element whose children are built by `build` when `version` is another than before, such as a large value
 * or a form that a user fills in.
 */
export function lazy(key, version, build) {
  return Object.assign(h("div", { class: "lazy", key }), { version, build });
}

function updateChildren(live, fresh) {
  const keyed = new Map();
  for (const child of live.childNodes) {
    if (child.key !== undefined) keyed.set(child.key, child);
  }
  let at = live.firstChild;
  for (const node of [...fresh.childNodes]) {
    const found = node.key === undefined ? at : keyed.get(node.key);
    if (!found || found.key !== node.key || !isSame(found, node)) {
      live.insertBefore(node, at);
      continue;
    }
    if (found === at) at = at.nextSibling;
    else live.insertBefore(found, at);
    update(found, node);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function isSame(live, fresh) {
  return live.nodeName === fresh.nodeName && live.type === fresh.type;
}

function update(live, fresh) {
  if (live.nodeType === Node.TEXT_NODE) {
    if (live.data !== fresh.data) live.data = fresh.data;
    return;
  }
  updateAttributes(live, fresh);
  for (const name of Object.keys(live.listeners ?? {})) live[name] = null;
  Object.assign(live, fresh.listeners);
  live.listeners = fresh.listeners;
  if (fresh.build) Object.assign(live, { version: fresh.version, build: fresh.build });
  else updateChildren(live, fresh);
}

function updateAttributes(live, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (live.getAttribute(name) !== value) live.setAttribute(name, value);
  }
  for (const { name } of [...live.attributes]) {
    // A user opens and closes details.
    if (!fresh.hasAttribute(name) && name !== "open") live.removeAttribute(name);
  }
  const isField = live.matches("input, select, textarea");
  if (isField && live !== document.activeElement) {
    if (live.value !== fresh.value) live.value = fresh.value;
  }
  if (live.nodeName === "INPUT") {
    live.checked = fresh.checked;
    live.indeterminate = fresh.indeterminate;
  }
  if (live.disabled !== fresh.disabled) live.disabled = fresh.disabled;
}

/** Whether a key event goes to a field, which takes the key itself. */
export function isTyping(event) {
  return event.target.matches?.("input:not([type=checkbox]), select, textarea") ?? false;
}
