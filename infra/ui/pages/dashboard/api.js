// Requests to the service, with the caller's key. The key stays in this tab.

import { parsed } from "./json.js";

/** The element that the service's page has, with what the service says of itself. */
export const home = document.getElementById("dashboard");

/** How callers authenticate: `key`, `token` or `none`. */
export const AUTH = home.dataset.auth;

/** The path in front of the service's routes: a stage, a domain's mapping, or "/". */
export const BASE = new URL("../", import.meta.url).pathname;

const KEY = "async-service.key";
/** The longest wait for an answer. The gateway gives up after 30 seconds. */
const PATIENCE_MS = 35_000;

/** What is known of the key's scopes: null until an answer tells. */
export const rights = { write: null, everyone: null };

let memory = null;

/** The key of this tab, or null. */
export function key() {
  try {
    return sessionStorage.getItem(KEY) ?? memory;
  } catch {
    return memory;
  }
}

/** Keeps a key for this tab; null forgets the key. */
export function setKey(value) {
  memory = value;
  rights.write = null;
  rights.everyone = null;
  try {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  } catch {
    // A browser may refuse to store anything. The key is in the page's memory.
  }
}

/** An answer that is no success, or no answer (status 0). */
export class Failure extends Error {
  constructor(status, message, answer) {
    super(message);
    this.status = status;
    this.answer = answer;
  }

  /** Whether the same request may succeed later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * Sends a request. `text` is a body of JSON, `query` is an object or URLSearchParams. Returns the answer's
 * `status`, `data`, `text`, `next` (the cursor of the next page) and `tag` (its version).
 */
export async function ask(method, path, { query, text, headers, signal } = {}) {
  const { response, body } = await answered(method, address(path, query), { text, headers, signal });
  if (!response.ok) throw refused(method, response.status, body);
  if (method !== "GET") rights.write = true;
  return {
    status: response.status,
    data: body === "" ? null : parsed(body),
    text: body,
    next: nextCursor(response.headers.get("link")),
    tag: response.headers.get("etag"),
  };
}

/** As `ask` with GET. */
export function read(path, query, signal) {
  return ask("GET", path, { query, signal });
}

let underWay = 0;

/** Shows that a change is under way. */
function busy(by) {
  underWay += by;
  home.toggleAttribute("data-busy", underWay > 0);
}

async function answered(method, url, options) {
  const isChange = method !== "GET";
  if (isChange) busy(1);
  try {
    const response = await sent(method, url, options);
    return { response, body: await response.text().catch(() => "") };
  } finally {
    if (isChange) busy(-1);
  }
}

async function sent(method, url, { text, headers, signal }) {
  const all = { ...headers };
  if (key() !== null) all.authorization = `Bearer ${key()}`;
  if (text !== undefined) all["content-type"] = "application/json";
  const signals = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
  const options = { method, headers: all, body: text, signal: AbortSignal.any(signals), cache: "no-store" };
  try {
    return await fetch(url, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, "The service does not answer. Is the network down?");
  }
}

function address(path, query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of query instanceof URLSearchParams ? query : Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") parameters.set(name, value);
  }
  const text = parameters.toString();
  return `${BASE}${path}${text === "" ? "" : `?${text}`}`;
}

/** The cursor of `Link: <…?cursor=…>; rel="next"`. */
function nextCursor(link) {
  const target = /<([^>]*)>\s*;\s*rel="next"/.exec(link ?? "")?.[1];
  return target === undefined ? null : new URL(target, location.href).searchParams.get("cursor");
}

function refused(method, status, body) {
  let answer = null;
  try {
    answer = parsed(body);
  } catch {
    // A gateway may answer with a page.
  }
  const detail = answer?.detail ?? answer?.message;
  // A key that may write may still not do everything.
  if (status === 403 && method !== "GET" && rights.write === null) rights.write = false;
  if (status === 401) home.dispatchEvent(new CustomEvent("refused", { detail: worded(status, detail) }));
  return new Failure(status, worded(status, detail), answer);
}

function worded(status, detail) {
  if (status === 403 && detail === "Forbidden") return "The key's scopes do not allow this.";
  if (Array.isArray(detail)) return detail.map(fieldError).join("\n");
  if (typeof detail === "string") return detail;
  return `The service answered ${status}.`;
}

/** An error of FastAPI's form: where, and what. */
function fieldError({ loc, msg }) {
  const place = loc.filter((part, at) => at > 0 || part !== "body").join(" › ");
  return place === "" ? msg : `${place}: ${msg}`;
}

/** The path of a task, without the base. */
export function taskPath(id) {
  return `tasks/${encodeURIComponent(id)}`;
}

/**
 * Finds out whether the key may change anything, by a request that is never valid: a key without the scope
 * `write` is refused before its body is read.
 */
export async function learnRights() {
  if (AUTH === "none") {
    rights.write = true;
    return;
  }
  try {
    await ask("POST", "tasks/", { text: "{}" });
  } catch (failure) {
    if (failure.status === 422) rights.write = true;
  }
}
