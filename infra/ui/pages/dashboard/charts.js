// Charts as SVG.

import { h, s } from "./dom.js";
import { clock, compact, number } from "./format.js";

/** The most bars of a chart. */
const MOST_BARS = 60;
const HEIGHT = 100;

/** A line over values from 0 on, as wide as its place. */
export function sparkline(values, label, kind = "") {
  const most = Math.max(1, ...values);
  const x = (at) => (values.length < 2 ? 0 : (at / (values.length - 1)) * 100);
  const y = (value) => 23 - (value / most) * 22;
  const line = values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return s(
    "svg", { class: `spark ${kind}`, viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label },
    values.length > 1 && s("polygon", { points: `0,24 ${line} 100,24` }),
    values.length > 1 && s("polyline", { points: line }),
  );
}

/**
 * Sums the steps of the service's numbers into at most 60 bars of equal length. `steps` leaves empty steps
 * out. Returns bars with `from` and `to` in milliseconds and the sum of each name.
 */
export function bars(steps, now, windowSeconds, stepSeconds, names, pick) {
  const lengths = Math.ceil(windowSeconds / stepSeconds / MOST_BARS) * stepSeconds * 1_000;
  const first = Math.floor((now - windowSeconds * 1_000) / lengths) * lengths;
  const count = Math.floor((now - first) / lengths) + 1;
  const found = Array.from({ length: count }, (_, at) => {
    const from = first + at * lengths;
    return { from, to: from + lengths, ...Object.fromEntries(names.map((name) => [name, 0])) };
  });
  for (const step of steps) {
    const bar = found[Math.floor((new Date(step.at) - first) / lengths)];
    if (!bar) continue;
    for (const name of names) bar[name] += pick(step, name);
  }
  return found;
}

/**
 * Bars of stacked parts. `series` is a list of [name, label, class]. The caption has the sums, and the numbers
 * of a bar that is pointed at.
 */
export function stackedBars(found, series, title) {
  const sum = (bar) => series.reduce((total, [name]) => total + bar[name], 0);
  const most = Math.max(1, ...found.map(sum));
  const width = 100 / found.length;
  const totals = Object.fromEntries(series.map(([name]) => [name, found.reduce((total, bar) => total + bar[name], 0)]));
  const told = series.map(([name, label]) => `${label} ${number(totals[name])}`).join(", ");
  const caption = h("figcaption", {}, legend(series, totals));
  const columns = found.map((bar, at) => column(bar, series, { x: at * width, width, most }));
  const chart = s("svg", { viewBox: `0 0 100 ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${told}` }, columns);
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const bar = found[Math.floor(((event.clientX - box.left) / box.width) * found.length)];
    const live = event.currentTarget.closest("figure").querySelector("figcaption");
    live.replaceChildren(...legend(series, bar ?? totals, bar && `${clock(bar.from)} – ${clock(bar.to)}`));
  };
  const leave = (event) => event.currentTarget.closest("figure").querySelector("figcaption").replaceChildren(...legend(series, totals));
  return h(
    "figure", { class: "chart" }, caption,
    h("div", { class: "plot", onpointermove: point, onpointerleave: leave }, chart, h("span", { class: "most" }, compact(most))),
    h("div", { class: "axis" }, h("span", {}, clock(found[0].from)), h("span", {}, clock(found[Math.floor(found.length / 2)].from)), h("span", {}, "now")),
  );
}

function column(bar, series, { x, width, most }) {
  let top = HEIGHT;
  return series.map(([name, , kind]) => {
    const height = (bar[name] / most) * (HEIGHT - 2);
    if (height === 0) return null;
    top -= height;
    return s("rect", { class: kind, x: (x + width * 0.12).toFixed(2), y: top.toFixed(2), width: (width * 0.76).toFixed(2), height: height.toFixed(2) });
  });
}

function legend(series, values, at) {
  const parts = series.map(([name, label, kind]) => h("span", { class: `key ${kind}` }, h("i", { "aria-hidden": "true" }), `${label} `, h("b", {}, number(values[name]))));
  return at ? [...parts, h("span", { class: "dim" }, at)] : parts;
}
