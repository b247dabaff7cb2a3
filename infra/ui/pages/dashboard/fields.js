// Forms made from JSON Schemas. A form gives JSON as text, so that numbers stay as they were typed.

import { h } from "./dom.js";
import { children, indented } from "./json.js";
import { button } from "./parts.js";

/** The deepest nesting of a form; deeper values are entered as JSON. */
const DEEPEST = 4;

let names = 0;

function freshName(prefix) {
  names += 1;
  return `${prefix}-${names}`;
}

/** The schema that a reference leads to, with the reference's own description. */
export function resolved(schema, root) {
  let found = schema ?? {};
  for (let hops = 0; found.$ref !== undefined && hops < 20; hops += 1) {
    const target = root.$defs?.[found.$ref.replace("#/$defs/", "")] ?? {};
    const { $ref: _, ...own } = found;
    found = { ...target, ...own };
  }
  return found;
}

/** The alternatives of a schema without null, and whether null is one. */
function alternatives(schema, root) {
  const all = (schema.anyOf ?? schema.oneOf ?? []).map((one) => resolved(one, root));
  const types = Array.isArray(schema.type) ? schema.type.filter((type) => type !== "null") : null;
  if (types) return types.map((type) => ({ ...schema, type }));
  return all.filter((one) => one.type !== "null");
}

/**
 * A field for a value. `element` is what to show; `text()` is the value as JSON, undefined if nothing is
 * entered; it throws an error with the name of the field for a wrong entry.
 */
export function fieldFor(schema, root, label, given, depth = 0) {
  const found = resolved(schema, root);
  const choice = alternatives(found, root);
  if (choice.length === 1) return fieldFor({ ...choice[0], description: found.description ?? choice[0].description }, root, label, given, depth);
  if (choice.length > 1 && depth < DEEPEST) return choiceField(choice, root, label, given, depth);
  if (found.enum) return enumField(found, label, given);
  if (found.type === "boolean") return booleanField(found, label, given);
  if (found.type === "object" && found.properties && depth < DEEPEST) return objectField(found, root, label, given, depth);
  if (found.type === "array" && depth < DEEPEST && isScalar(resolved(found.items, root))) return linesField(found, root, label, given);
  if (["string", "integer", "number"].includes(found.type)) return textField(found, label, given);
  return jsonField(found, label, given);
}

function isScalar(schema) {
  return ["string", "integer", "number"].includes(schema.type) && !schema.enum;
}

/** A label above a field, and the schema's description below. */
function labelled(label, schema, control, note) {
  const id = freshName("field");
  control.id = id;
  const description = [schema.description, note].filter(Boolean).join(" ");
  const told = description !== "" && h("small", { id: `${id}-note` }, description);
  if (told) control.setAttribute("aria-describedby", `${id}-note`);
  return h("div", { class: "field" }, h("label", { for: id }, label), control, told);
}

function wrong(label, what) {
  return new Error(`${label}: ${what}`);
}

/** The JSON of an entry for a schema of a text or a number. */
function scalarText(entry, { type }, label) {
  if (type === "string") return JSON.stringify(entry);
  const form = type === "integer" ? /^-?\d+$/ : /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;
  if (!form.test(entry.trim())) throw wrong(label, type === "integer" ? "not a whole number" : "not a number");
  return entry.trim().replace(/^(-?)0+(?=\d)/, "$1");
}

function shownScalar(given) {
  return given === undefined || given === "null" ? "" : given.startsWith('"') ? JSON.parse(given) : given;
}

function textField(schema, label, given) {
  const isNumber = schema.type !== "string";
  const isTime = schema.format === "date-time";
  const control = h("input", {
    type: "text", value: shownScalar(given ?? defaultOf(schema)), autocomplete: "off", spellcheck: "false", inputmode: isNumber ? "decimal" : null,
    maxlength: schema.maxLength, placeholder: isTime ? "2030-01-31T12:00:00Z" : null,
  });
  const limits = [schema.minimum !== undefined && `at least ${schema.minimum}`, schema.maximum !== undefined && `at most ${schema.maximum}`].filter(Boolean).join(", ");
  return {
    element: labelled(label, schema, control, limits && `(${limits})`),
    text: () => (control.value === "" ? undefined : scalarText(control.value, schema, label)),
  };
}

function defaultOf(schema) {
  return schema.default === undefined || schema.default === null ? undefined : JSON.stringify(schema.default);
}

function enumField(schema, label, given) {
  const values = schema.enum.filter((value) => value !== null).map((value) => JSON.stringify(value));
  const selected = given ?? defaultOf(schema);
  const option = (text) => h("option", { value: text, selected: text === selected }, shownScalar(text));
  const control = h("select", {}, h("option", { value: "" }, "–"), values.map(option));
  return { element: labelled(label, schema, control), text: () => control.value || undefined };
}

function booleanField(schema, label, given) {
  return enumField({ ...schema, enum: [true, false] }, label, given);
}

/** One value a line. */
function linesField(schema, root, label, given) {
  const items = resolved(schema.items, root);
  const lines = given === undefined ? [] : children(given).map(([, text]) => shownScalar(text));
  const control = h("textarea", { rows: Math.min(8, Math.max(3, lines.length)), spellcheck: "false", value: lines.join("\n") });
  const text = () => {
    const entries = control.value.split("\n").filter((line) => line.trim() !== "");
    if (entries.length === 0) return undefined;
    return `[${entries.map((entry) => scalarText(items.type === "string" ? entry.trim() : entry, items, label)).join(",")}]`;
  };
  return { element: labelled(label, schema, control, "One value a line."), text };
}

/** Any JSON. */
export function jsonField(schema, label, given) {
  const value = given === undefined ? "" : indented(given);
  const control = h("textarea", { class: "code", rows: Math.min(16, Math.max(4, value.split("\n").length)), spellcheck: "false", value });
  const text = () => {
    if (control.value.trim() === "") return undefined;
    try {
      JSON.parse(control.value);
    } catch (error) {
      throw wrong(label, `no JSON: ${error.message}`);
    }
    return control.value.trim();
  };
  return { element: labelled(label, schema, control), text, control };
}

function objectField(schema, root, label, given, depth) {
  const required = new Set(schema.required ?? []);
  const known = new Map(given === undefined ? [] : children(given));
  const fields = Object.entries(schema.properties).map(([name, part]) => {
    const field = fieldFor(part, root, `${name}${required.has(name) ? " *" : ""}`, known.get(name), depth + 1);
    return { name, ...field };
  });
  const text = () => {
    const entered = fields.map(({ name, text: value }) => [name, value()]);
    for (const [name, value] of entered) {
      if (value === undefined && required.has(name)) throw wrong(name, "missing");
    }
    const members = entered.filter(([, value]) => value !== undefined).map(([name, value]) => `${JSON.stringify(name)}:${value}`);
    return depth > 0 && members.length === 0 ? undefined : `{${members.join(",")}}`;
  };
  const legend = depth > 0 && h("legend", {}, label);
  return { element: h(depth > 0 ? "fieldset" : "div", { class: "object" }, legend, fields.map(({ element }) => element)), text };
}

/** One of several forms, chosen by a list. */
function choiceField(choice, root, label, given, depth) {
  const fields = choice.map((schema) => fieldFor(schema, root, label, given, depth));
  const place = h("div", {}, fields[0].element);
  const title = (schema, at) => schema.description ?? schema.title ?? schema.type ?? `form ${at + 1}`;
  const select = h("select", { onchange: () => place.replaceChildren(fields[select.selectedIndex].element) }, choice.map((schema, at) => h("option", {}, title(schema, at))));
  return {
    element: h("div", { class: "choice" }, labelled(`Form of ${label}`, {}, select), place),
    text: () => fields[select.selectedIndex].text(),
  };
}

/** The example of a schema as JSON, or undefined. */
export function exampleOf(schema, root) {
  const found = resolved(schema, root);
  const example = found.example ?? found.examples?.[0];
  return example === undefined ? undefined : JSON.stringify(example);
}

/** Buttons that switch between the form and JSON. Both have the same `text()`. */
export function formOrJson(schema, root, label, given) {
  const form = fieldFor(schema, root, label, given);
  const raw = jsonField({}, `${label} as JSON`, given);
  const state = { isRaw: false };
  const place = h("div", {}, form.element);
  const choose = (isRaw) => {
    if (isRaw === state.isRaw) return;
    if (isRaw) raw.control.value = entered(form) ?? raw.control.value;
    state.isRaw = isRaw;
    place.replaceChildren(isRaw ? raw.element : form.element);
    for (const [at, tab] of [...tabs.children].entries()) tab.setAttribute("aria-pressed", String((at === 1) === isRaw));
  };
  const tab = (name, isRaw) => button(name, () => choose(isRaw), { pressed: String(isRaw === state.isRaw) });
  const tabs = h("div", { class: "segments", role: "group", "aria-label": "How to enter the input" }, tab("Form", false), tab("JSON", true));
  return { element: h("div", { class: "form-or-json" }, tabs, place), text: () => (state.isRaw ? raw : form).text() };
}

/** What a form has so far, laid out; undefined if an entry is wrong. */
function entered(form) {
  try {
    const text = form.text();
    return text === undefined ? undefined : indented(text);
  } catch {
    return undefined;
  }
}
