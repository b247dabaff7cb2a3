// The rule of a schedule: in words, and as fields.

import { h } from "./dom.js";
import { dateTime, duration, fromLocal, toLocal } from "./format.js";

/** The fields of Celery's crontab, in the order of a cron line. */
const CRONTAB = ["minute", "hour", "day_of_month", "month_of_year", "day_of_week"];

/** A rule in words. */
export function ruleText(rule) {
  if (rule.crontab !== undefined) return CRONTAB.map((name) => rule.crontab[name] ?? "*").join(" ");
  if (rule.cron !== undefined) return rule.cron;
  if (rule.every !== undefined) return `every ${duration(Number(rule.every) * 1_000)}`;
  return `once at ${dateTime(rule.at)}`;
}

/** Whether the times of a rule depend on a time zone. */
export function hasZone(rule) {
  return rule.crontab !== undefined || rule.cron !== undefined;
}

/** Fields for a rule. `rule()` is the rule that is entered. */
export function ruleFields(given = { cron: "" }) {
  const kinds = { cron: cronFields(given), crontab: crontabFields(given), every: everyFields(given), at: atFields(given) };
  const names = { cron: "Cron line", crontab: "Celery's crontab", every: "Interval", at: "One time" };
  const kind = Object.keys(kinds).find((name) => given[name] !== undefined);
  const place = h("div", {}, kinds[kind].element);
  const option = (name) => h("option", { value: name, selected: name === kind }, names[name]);
  const select = h("select", { id: "rule-kind", onchange: () => place.replaceChildren(kinds[select.value].element) }, Object.keys(kinds).map(option));
  return {
    element: h("fieldset", { class: "object" }, h("legend", {}, "When"), h("div", { class: "field" }, h("label", { for: "rule-kind" }, "Kind of rule"), select), place),
    rule: () => kinds[select.value].rule(),
  };
}

function input(id, label, attributes, note) {
  const control = h("input", { type: "text", id, autocomplete: "off", spellcheck: "false", ...attributes });
  return { control, element: h("div", { class: "field" }, h("label", { for: id }, label), control, note && h("small", {}, note)) };
}

function cronFields(given) {
  const line = input("rule-cron", "Line", { value: given.cron ?? "", placeholder: "0 9 * * MON-FRI" }, "Minute, hour, day of the month, month, day of the week; or a name such as @daily.");
  return { element: line.element, rule: () => ({ cron: line.control.value.trim() }) };
}

function crontabFields(given) {
  const fields = CRONTAB.map((name) => [name, input(`rule-${name}`, name.replaceAll("_", " "), { value: String(given.crontab?.[name] ?? "*") })]);
  const entered = () => Object.fromEntries(fields.map(([name, { control }]) => [name, control.value.trim() || "*"]));
  return { element: h("div", { class: "row" }, fields.map(([, { element }]) => element)), rule: () => ({ crontab: entered() }) };
}

function everyFields(given) {
  const every = input("rule-every", "Seconds", { value: String(given.every ?? ""), inputmode: "decimal" });
  const start = input("rule-start", "First time", { type: "datetime-local", step: "1", value: toLocal(given.start) }, "If empty, one interval after the schedule begins.");
  const rule = () => {
    const first = start.control.value === "" ? {} : { start: fromLocal(start.control.value) };
    return { every: Number(every.control.value), ...first };
  };
  return { element: h("div", { class: "row" }, every.element, start.element), rule };
}

function atFields(given) {
  const at = input("rule-at", "Time", { type: "datetime-local", step: "1", value: toLocal(given.at) }, "In the time zone of this browser.");
  return { element: at.element, rule: () => ({ at: fromLocal(at.control.value) }) };
}
