// --- drawing the graph ---
// Boxes and edges where Python has placed them: of a node by its number, of a folded module k by -k-1.
const { whole, groups } = data.drawing, SIZE = [118, 44], STEP = [132, 72], MARGIN = 12;
const places = new Map((data.drawing.places || []).map(([id, layer, x]) => [id, { layer, x }]));
const users = new Map(), moduleOf = new Map();
for (const id of places.keys()) for (const p of nodes[id].par || []) if (places.has(p)) { if (!users.has(p)) users.set(p, []); users.get(p).push(id); }
(groups ? groups.modules : []).forEach((m, k) => m.of.forEach((id) => moduleOf.set(id, k)));
let folded = !!groups && (!whole || whole.boxes.length > 30), drawn = "", inside = new Map(); // inside: node -> its box in this drawing
const cut = (text, n) => (text.length <= n ? text : text.slice(0, n - 1) + "…");
const membersOf = (box) => (box < 0 ? groups.modules[-box - 1].of : [box]);
const carries = (id) => nodes[id].op || nodes[id].kind === "param";

function boxOf(box, x, y) {
  const parts = (box < 0 ? moduleBox : nodeBox)(box), [W, H] = SIZE;
  const words = (cls, dx, dy, text, end) => svg("text", { class: cls, x: dx, y: dy, ...(end ? { "text-anchor": end } : {}) }, text);
  const g = svg("g", { class: `node ${parts.kind}`, "data-node": box, transform: `translate(${Math.round(x)} ${Math.round(y)})`, ...(parts.live ? { tabindex: -1, role: "button" } : {}) }, svg("title", {}, parts.story));
  if (parts.kind === "param") g.append(svg("rect", { class: "outer", x: -3, y: -3, width: W + 6, height: H + 6, rx: 8 }));
  if (box < 0) g.append(svg("rect", { x: 5, y: 5, width: W, height: H, rx: 6 })); // one behind the other
  g.append(svg("rect", { width: W, height: H, rx: 6 }), words("name", 8, 18, parts.name), words("sub", 8, 35, parts.below), words("mark", W - 7, 35, "", "end"));
  if (parts.fan) g.append(svg("rect", { class: "fan", x: W - 22, y: -9, width: 30, height: 17, rx: 8 }), words("fan", W - 7, 4, `×${parts.fan}`, "middle"));
  return g;
}
function nodeBox(id) {
  const n = nodes[id], kind = n.op ? "op" : n.kind, size = cut(arrays[n.v].s.join("×") || "scalar", 13);
  const name = (folded && groups.modules[moduleOf.get(id)]?.labels[id]) || n.label || n.name;
  const below = n.op && name.startsWith(`${n.op}_`) ? size : `${cut(n.op || n.kind, Math.max(2, 11 - size.length))} ${size}`;
  const story = `${n.name}, ${n.op || n.kind}, shape ${shape(arrays[n.v].s)}${n.fan ? `, used ${n.fan} times` : ""}`;
  return { kind, live: carries(id), name, below, story, fan: n.fan };
}
function moduleBox(box) {
  const { name, short: label, of } = groups.modules[-box - 1], ops = of.filter((id) => nodes[id].op).length, told = `${ops} op${ops === 1 ? "" : "s"}`;
  return { kind: "module", live: true, name: label || name, below: told, story: `${name}, a module, ${told} folded; Enter unfolds it` };
}
// An edge through points [x, layer]: from the lower edge of the first box to the upper edge of the last.
function curve(points) {
  const xy = points.map(([x, layer]) => [x * STEP[0] + SIZE[0] / 2 + MARGIN, layer * STEP[1] + SIZE[1] / 2 + MARGIN]);
  xy[0][1] += SIZE[1] / 2;
  xy[xy.length - 1][1] -= SIZE[1] / 2;
  return xy.slice(1).reduce((d, [x, y], k) => { const [ax, ay] = xy[k], m = (ay + y) / 2; return `${d}C${ax.toFixed()} ${m.toFixed()} ${x.toFixed()} ${m.toFixed()} ${x.toFixed()} ${y.toFixed()}`; }, `M${xy[0].map((v) => v.toFixed()).join(" ")}`);
}
function drawLayout({ boxes, bends }, label) {
  const spot = new Map(boxes.map(([box, layer, x]) => [box, [x, layer]])), edges = new Map();
  inside = new Map(boxes.flatMap(([box]) => membersOf(box).map((id) => [id, box])));
  for (const [id, a] of inside) for (const p of nodes[id].par || []) {
    const b = inside.get(p), key = `${a}-${b}`;
    if (b !== undefined && b !== a) edges.set(key, { a, b, live: carries(p) || (edges.get(key) || {}).live });
  }
  const w = Math.max(...boxes.map((b) => b[2])) * STEP[0] + SIZE[0] + 2 * MARGIN, h = Math.max(...boxes.map((b) => b[1])) * STEP[1] + SIZE[1] + 2 * MARGIN;
  const root = svg("svg", { class: "graph", viewBox: `0 0 ${Math.round(w)} ${Math.round(h)}`, role: "group", "aria-label": label });
  for (const [key, { a, b, live }] of edges) root.append(svg("path", { class: live ? "edge" : "edge dead", "data-edge": key, d: curve([spot.get(a), ...(bends[key] || detour(spot, a, b)), spot.get(b)]) }));
  for (const [box, layer, x] of boxes) root.append(boxOf(box, x * STEP[0] + MARGIN, layer * STEP[1] + MARGIN));
  graph.replaceChildren(root);
}
// Where no bends are given a long edge passes beside the boxes between.
function detour(spot, a, b) {
  const [[xa, from], [xb, to]] = [spot.get(a), spot.get(b)], side = Math.max(xa, xb) + 0.7;
  return whole || groups || to - from < 2 ? [] : Array.from({ length: to - from - 1 }, (_, k) => [side, from + 1 + k]);
}
// The boxes within two edges of the current one, layer by layer.
function neighbourhood() {
  const here = steps[at].n, seen = new Set([here]);
  let edge = [here];
  for (let hop = 0; hop < 2; hop++) {
    const next = [];
    for (const id of edge) for (const m of [...(nodes[id].par || []), ...(users.get(id) || [])].slice(0, 12)) if (places.has(m) && !seen.has(m)) { seen.add(m); next.push(m); }
    edge = next;
  }
  const layers = [...new Set([...seen].map((id) => places.get(id).layer))].sort((a, b) => a - b);
  const lines = layers.map((layer) => [...seen].filter((id) => places.get(id).layer === layer).sort((a, b) => places.get(a).x - places.get(b).x || a - b)), widest = Math.max(...lines.map((line) => line.length));
  return { boxes: lines.flatMap((line, row) => line.map((id, k) => [id, row, k + (widest - line.length) / 2])), bends: {} };
}
// What is to be seen with this step: nothing is drawn twice.
function draw() {
  const open = folded ? moduleOf.get(steps[at].n) ?? 0 : -1, wanted = folded ? `module ${open}` : whole ? "whole" : `step ${at}`;
  if (wanted === drawn) return;
  drawn = wanted;
  if (folded) drawLayout(groups.layouts[open], `Graph by modules, ${groups.modules[open].name} unfolded: the loss on top`);
  else drawLayout(whole || neighbourhood(), whole ? "Graph: the loss on top, what it was computed from below" : "Two steps around the current op");
  settle();
}
function foldModules() {
  if (!groups || !whole) { say(groups ? "This graph is too large to be drawn unfolded." : "This graph has no modules: no parameter has a path, such as encoder.0.weight."); return; }
  folded = !folded;
  view.chosen = false;
  $("fold").setAttribute("aria-pressed", String(folded));
  draw();
  mark();
  say(folded ? "Modules are folded, but for the one of the current step." : "All modules are unfolded.");
}
$("fold").hidden = !groups || !whole;
$("fold").setAttribute("aria-pressed", String(folded));
$("fold").addEventListener("click", foldModules);
