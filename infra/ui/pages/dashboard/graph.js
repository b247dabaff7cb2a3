// The tasks of a workflow as a small graph: what came before a task, and what its end sets off.

import { read, taskPath } from "./api.js";
import { h, s } from "./dom.js";
import { shortId, viewAddress } from "./parts.js";

/** The most tasks of a graph. */
const MOST = 30;
const NODE = { width: 150, height: 42, across: 40, down: 14 };

/** Reads the tasks of the workflow of `task`, from its root on. Null if the task is in none. */
export async function workflowOf(task, signal) {
  if (!task.workflow) return null;
  const nodes = new Map([[task.task_id, { id: task.task_id, job: task.job, state: task.state, isHere: true }]]);
  const edges = [];
  const waiting = [task];
  const visited = new Set([task.task_id]);
  const visit = async (id) => {
    if (!id || visited.has(id) || visited.size >= MOST) return;
    visited.add(id);
    const found = await read(taskPath(id), null, signal).catch(() => null);
    if (found === null) return;
    nodes.set(id, { ...nodes.get(id), id, job: found.data.job, state: found.data.state });
    waiting.push(found.data);
  };
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const { parent_id: parent, root_id: root, follows = [] } = at.workflow ?? {};
    for (const next of follows) {
      edges.push({ from: at.task_id, to: next.task_id, on: next.on });
      if (!nodes.has(next.task_id)) nodes.set(next.task_id, { id: next.task_id, job: next.job, state: null });
    }
    if (parent && parent !== at.task_id) {
      edges.push({ from: parent, to: at.task_id, on: "parent" });
      await visit(parent);
    }
    if (root && root !== at.task_id) await visit(root);
    // A task that follows has a record only after the end of the task before.
    if (at.effects_done || at.state === "completed") {
      for (const next of follows) await visit(next.task_id);
    }
  }
  return { nodes, edges: unique(edges, nodes) };
}

/** One edge for each pair; the edge that says when the next task follows is kept. */
function unique(edges, nodes) {
  const kept = new Map();
  for (const edge of edges.filter(({ from, to }) => nodes.has(from) && nodes.has(to))) {
    const pair = `${edge.from} ${edge.to}`;
    if (!kept.has(pair) || kept.get(pair).on === "parent") kept.set(pair, edge);
  }
  return [...kept.values()];
}

/** The column of each task: one more than the last column of the tasks before. */
function columns({ nodes, edges }) {
  const column = new Map([...nodes.keys()].map((id) => [id, 0]));
  for (let round = 0; round < nodes.size; round += 1) {
    for (const { from, to } of edges) column.set(to, Math.min(nodes.size, Math.max(column.get(to), column.get(from) + 1)));
  }
  return column;
}

function placed(graph) {
  const rows = [];
  const places = new Map();
  for (const [id, column] of columns(graph)) {
    rows[column] = (rows[column] ?? 0) + 1;
    places.set(id, {
      x: column * (NODE.width + NODE.across) + 1,
      y: (rows[column] - 1) * (NODE.height + NODE.down) + 1,
    });
  }
  return places;
}

/** The graph as an image with a link on each task. */
export function graphView(graph) {
  const places = placed(graph);
  const all = [...places.values()];
  const width = Math.max(...all.map(({ x }) => x)) + NODE.width + 1;
  const height = Math.max(...all.map(({ y }) => y)) + NODE.height + 1;
  return h("div", { class: "graph", tabindex: "0", role: "group", "aria-label": `Workflow of ${graph.nodes.size} tasks` }, s(
    "svg", { width, height, viewBox: `0 0 ${width} ${height}` },
    graph.edges.map((edge) => edgeLine(edge, places)),
    [...graph.nodes.values()].map((node) => nodeBox(node, places.get(node.id))),
  ));
}

function edgeLine({ from, to, on }, places) {
  const start = places.get(from);
  const end = places.get(to);
  const x = start.x + NODE.width;
  const y = start.y + NODE.height / 2;
  const middle = (x + end.x) / 2;
  const target = end.y + NODE.height / 2;
  const path = `M${x} ${y}C${middle} ${y} ${middle} ${target} ${end.x} ${target}`;
  return s("path", { class: `edge on-${on}`, d: path }, s("title", {}, on === "parent" ? "leads to" : `on ${on}`));
}

function nodeBox({ id, job, state, isHere }, { x, y }) {
  const name = (job ?? "unknown").split(".").at(-1);
  const shown = name.length > 19 ? `${name.slice(0, 18)}…` : name;
  return s(
    "a", { href: viewAddress(`tasks/${encodeURIComponent(id)}`), class: `node state-${state ?? "unknown"} ${isHere ? "here" : ""}`, "aria-label": `${job ?? "unknown"}, ${state ?? "not recorded"}` },
    s("title", {}, `${job ?? "unknown"} ${id}`),
    s("rect", { x, y, width: NODE.width, height: NODE.height, rx: 6 }),
    s("circle", { cx: x + 13, cy: y + 15, r: 4 }),
    s("text", { x: x + 23, y: y + 19 }, shown),
    s("text", { class: "small", x: x + 23, y: y + 34 }, state ? `${state} · ${shortId(id)}` : "not recorded"),
  );
}
