// JSON without loss. JavaScript's numbers have 53 bits and its objects reorder some keys, so values that a
// user looks at are taken from the text of the answer itself.

import { h } from "./dom.js";

/** The most lines that are shown at once; a click shows the rest. */
const MOST_LINES = 1_000;

/** The value of a JSON text. A whole number that JavaScript would round becomes a BigInt. */
export function parsed(text) {
  return JSON.parse(text, (_, value, context) => {
    const isRounded = typeof value === "number" && !Number.isSafeInteger(value);
    const source = isRounded ? context?.source : undefined;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

/** Each member of an object's text, or each element of an array's, as [name or position, text]. */
export function children(text) {
  const found = [];
  let at = blank(text, 0);
  const isObject = text[at] === "{";
  if (!isObject && text[at] !== "[") return found;
  at = blank(text, at + 1);
  while (at < text.length && text[at] !== "}" && text[at] !== "]") {
    let name = found.length;
    if (isObject) {
      const end = valueEnd(text, at);
      name = JSON.parse(text.slice(at, end));
      at = blank(text, blank(text, end) + 1);
    }
    const end = valueEnd(text, at);
    found.push([name, text.slice(at, end)]);
    at = blank(text, end);
    if (text[at] === ",") at = blank(text, at + 1);
  }
  return found;
}

/** The text of one member of an object's text, or undefined. */
export function member(text, name) {
  return children(text).findLast(([given]) => given === name)?.[1];
}

function blank(text, from) {
  let at = from;
  while (at < text.length && " \n\r\t".includes(text[at])) at += 1;
  return at;
}

/** The end of the value that begins at `from`. */
function valueEnd(text, from) {
  let depth = 0;
  let end = from;
  for (const [token, after] of tokens(text, from)) {
    if ("{[".includes(token)) depth += 1;
    if ("}]".includes(token)) depth -= 1;
    end = after;
    if (depth === 0) return end;
  }
  return end;
}

/** A text in quotes, a bracket, a mark, or a number or word. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/y;

/** The tokens of a JSON text from `from` on, each with the place after the token. */
function* tokens(text, from = 0) {
  let at = blank(text, from);
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) return;
    yield [token, at + token.length];
    at = blank(text, at + token.length);
  }
}

/** A JSON text with a line for each value. Numbers and texts stay as they are. */
export function indented(text) {
  const lines = layout(text).map((line) => line.map(([, token]) => token).join(""));
  return lines.join("\n");
}

/** The lines of a JSON text, each a list of [kind, text]. */
function layout(text) {
  const lines = [[]];
  let depth = 0;
  let previous = "";
  const isName = [];
  const put = (kind, token) => lines.at(-1).push([kind, token]);
  const newLine = () => lines.push([["", "  ".repeat(depth)]]);
  for (const [token] of tokens(text)) {
    const isEmpty = (previous === "{" || previous === "[") && "}]".includes(token);
    if ("}]".includes(token)) {
      depth -= 1;
      isName.pop();
      if (!isEmpty) newLine();
    } else if (previous === "{" || previous === "[" || previous === ",") {
      newLine();
    }
    if (previous === "{" || (previous === "," && isName.at(-1))) put("name", token);
    else put(kindOf(token), token);
    if (token === ":") put("", " ");
    if ("{[".includes(token)) {
      depth += 1;
      isName.push(token === "{");
    }
    previous = token;
  }
  return lines;
}

function kindOf(token) {
  if ("{}[],:".includes(token)) return "";
  if (token.startsWith('"')) return "text";
  return /^[-\d]/.test(token) ? "number" : "word";
}

/** An element that shows a JSON text, exact, with colours. */
export function jsonView(text, label) {
  const lines = layout(text);
  const view = h("pre", { class: "json", tabindex: "0", role: "region", "aria-label": label });
  const show = (from, to) => {
    for (const line of lines.slice(from, to)) {
      view.append(...line.map(([kind, token]) => (kind ? h("span", { class: kind }, token) : token)));
      view.append("\n");
    }
  };
  show(0, MOST_LINES);
  if (lines.length <= MOST_LINES) return view;
  const more = h("button", { class: "quiet", type: "button" }, `Show all ${lines.length} lines`);
  more.onclick = () => {
    show(MOST_LINES);
    more.remove();
  };
  return h("div", {}, view, more);
}
