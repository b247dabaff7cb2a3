// Numbers and times in the formats of the browser.

const NUMBER = new Intl.NumberFormat();
const ONE_DIGIT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const PRECISE = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { style: "short", numeric: "always" });

/** The units of a length of time, longest first, in milliseconds. */
const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1_000]];

/** A whole number, exact for any size (a number, a BigInt or its text). */
export function number(value) {
  return NUMBER.format(value);
}

/** A number in few characters, for narrow places. */
export function compact(value) {
  return COMPACT.format(value);
}

/** A share from 0 to 1. */
export function percent(share) {
  return PERCENT.format(share);
}

/** A day with a time. */
export function dateTime(at) {
  return DATE_TIME.format(new Date(at));
}

/** Hours and minutes. */
export function clock(at) {
  return CLOCK.format(new Date(at));
}

/** A time of day with milliseconds. */
export function precise(at) {
  return PRECISE.format(new Date(at));
}

/** How far a time is from now, such as "5 min. ago" or "in 2 hr.". */
export function relative(at, now = Date.now()) {
  const distance = new Date(at) - now;
  if (Math.abs(distance) < 1_000) return "now";
  const unit = UNITS.find(([, length]) => Math.abs(distance) >= length);
  return RELATIVE.format(Math.trunc(distance / unit[1]), unit[0]);
}

/** A length of time in milliseconds, in one unit or two: "320 ms", "4.2 s", "3 m 5 s". */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return "";
  if (milliseconds < 1_000) return unitText(Math.round(milliseconds), "millisecond");
  if (milliseconds < 60_000) return unitText(milliseconds / 1_000, "second");
  const at = UNITS.findIndex(([, length]) => milliseconds >= length);
  const [unit, length] = UNITS[at];
  const [smaller, part] = UNITS[at + 1];
  const rest = Math.floor((milliseconds % length) / part);
  const whole = unitText(Math.floor(milliseconds / length), unit);
  return rest === 0 ? whole : `${whole} ${unitText(rest, smaller)}`;
}

const UNIT_FORMATS = new Map();

function unitText(value, unit) {
  if (!UNIT_FORMATS.has(unit)) {
    const options = { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 1 };
    UNIT_FORMATS.set(unit, new Intl.NumberFormat(undefined, options));
  }
  return UNIT_FORMATS.get(unit).format(value);
}

/** A count with its noun: "1 task", "2 tasks". */
export function counted(count, noun, plural = `${noun}s`) {
  return `${number(count)} ${Number(count) === 1 ? noun : plural}`;
}

/** A count that may be a lower bound, as the numbers of the service have it: "3" or "3+"; from 100,000 on short. */
export function bounded({ count, at_least: isBound }) {
  return `${count < 100_000 ? number(count) : compact(count)}${isBound ? "+" : ""}`;
}

/** A ratio with one digit. */
export function oneDigit(value) {
  return ONE_DIGIT.format(value);
}

/** The value of a field for local times (`datetime-local`) as a time of RFC 3339. Empty stays empty. */
export function fromLocal(text) {
  return text === "" ? "" : new Date(text).toISOString();
}

/** A time of RFC 3339 as the value of a field for local times, to the second. */
export function toLocal(at) {
  if (!at) return "";
  const date = new Date(at);
  const local = new Date(date - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}
