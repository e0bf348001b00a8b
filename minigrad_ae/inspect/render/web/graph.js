// --- tape ---
const tape = $("tape"), rows = $("rows"), pick = $("pick");
rows.style.height = `${steps.length * ROW}px`;
rows.style.setProperty("--digits", `${String(data.total).length}ch`);
const bad = (s) => !s.ok || !s.fin;
const tag = (s, i) => (!s.ok ? "WRONG" : !s.fin ? "NaN/Inf" : i < at ? "done" : i === at ? "here" : "");
function drawTape() {
  const from = Math.max(0, Math.floor(tape.scrollTop / ROW) - 5), to = Math.min(steps.length, from + Math.ceil((tape.clientHeight || 600) / ROW) + 10);
  const shown = [];
  for (let i = from; i < to; i++) {
    const s = steps[i], row = el("div", "row", el("span", "k num", String(s.k)), el("span", "o", nodes[s.n].op), nodes[s.n].name.startsWith(`${nodes[s.n].op}_`) ? el("span", "what more", nodes[s.n].name.slice(nodes[s.n].op.length)) : el("span", "what", nodes[s.n].name), el("span", bad(s) ? "tag bad" : "tag", tag(s, i)));
    row.id = `row-${i}`;
    row.style.top = `${i * ROW}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(i === at));
    row.setAttribute("aria-posinset", String(i + 1));
    row.setAttribute("aria-setsize", String(steps.length));
    if (i === at) row.setAttribute("aria-current", "step");
    row.addEventListener("click", () => go(i));
    shown.push(row);
  }
  rows.replaceChildren(...shown);
  if (at >= from && at < to) tape.setAttribute("aria-activedescendant", `row-${at}`);
  else tape.removeAttribute("aria-activedescendant");
}
function keepInView() {
  const top = at * ROW, height = tape.clientHeight;
  if (top < tape.scrollTop) tape.scrollTop = top;
  else if (top + ROW > tape.scrollTop + height) tape.scrollTop = top + ROW - height;
}
function fillPick() {
  if (pick.options.length || !(program || matchMedia("(max-width: 899px)").matches)) return;
  const list = document.createDocumentFragment();
  steps.forEach((s, i) => { const o = el("option", "", `${s.k}  ${nodes[s.n].op}: ${nodes[s.n].name}${bad(s) ? `  ${tag(s, i)}` : ""}`); o.value = String(i); list.append(o); });
  pick.append(list);
}

// --- graph ---
const graph = $("graph"), whole = graph.querySelector("svg"), stepOf = new Map(), flows = nodes.map(() => []);
steps.forEach((s, i) => { stepOf.set(s.n, i); s.o.forEach((o) => flows[o.to].push({ i, from: s.n, of: o.of })); });
const places = new Map((data.places || []).map(([id, layer, x]) => [id, { layer, x }]));
const users = new Map();
if (!whole) for (const id of places.keys()) for (const p of nodes[id].par || []) if (places.has(p)) { if (!users.has(p)) users.set(p, []); users.get(p).push(id); }
function mark() {
  const here = steps[at].n;
  for (const g of graph.querySelectorAll(".node")) {
    const id = Number(g.dataset.node), i = stepOf.get(id), done = i !== undefined ? i < at : flows[id].length > 0 && flows[id].every((f) => f.i <= at);
    g.classList.toggle("here", id === here);
    g.classList.toggle("linked", id !== here && !!program && id === linked());
    g.classList.toggle("wrong", i !== undefined && bad(steps[i]));
    g.querySelector(".mark").textContent = id === here ? "here" : i !== undefined && bad(steps[i]) ? (steps[i].ok ? "NaN" : "✗") : done ? "✓" : "";
  }
  const known = new Map();
  for (const s of steps.slice(Math.max(0, whole ? 0 : at - 400), at + 1)) for (const o of s.o) known.set(`${s.n}-${o.to}`, s.n);
  for (const p of graph.querySelectorAll(".edge")) {
    p.classList.toggle("done", known.has(p.dataset.edge) && known.get(p.dataset.edge) !== here);
    p.classList.toggle("now", known.get(p.dataset.edge) === here);
  }
  const g = graph.querySelector(".node.here");
  stop(g || live()[0]);
  if (g) {
    const a = g.getBoundingClientRect(), b = graph.getBoundingClientRect();
    if (a.top < b.top + 40 || a.bottom > b.bottom - 90) graph.scrollTop += a.top - b.top - b.height / 3;
    if (a.left < b.left || a.right > b.right) graph.scrollLeft += a.left - b.left - b.width / 2 + a.width / 2;
  }
}
function neighbourhood() {
  const here = steps[at].n, seen = new Set([here]);
  let edge = [here];
  for (let hop = 0; hop < 2; hop++) {
    const next = [];
    for (const id of edge) for (const m of [...(nodes[id].par || []), ...(users.get(id) || [])].slice(0, 12)) if (places.has(m) && !seen.has(m)) { seen.add(m); next.push(m); }
    edge = next;
  }
  const layers = [...new Set([...seen].map((id) => places.get(id).layer))].sort((a, b) => a - b), spot = new Map();
  let widest = 0;
  layers.forEach((layer, row) => {
    const line = [...seen].filter((id) => places.get(id).layer === layer).sort((a, b) => places.get(a).x - places.get(b).x || a - b);
    line.forEach((id, k) => spot.set(id, { x: k - (line.length - 1) / 2, row }));
    widest = Math.max(widest, line.length);
  });
  const W = 118, H = 44, w = widest * 132 + 100, h = layers.length * 72 + 4, px = (id) => w / 2 + spot.get(id).x * 132 - W / 2, py = (id) => spot.get(id).row * 72 + 12;
  const root = svg("svg", { class: "graph", width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": "Two steps around the current op" });
  for (const id of seen) for (const p of new Set(nodes[id].par || [])) if (seen.has(p)) {
    const x0 = px(id) + W / 2, y0 = py(id) + H, x1 = px(p) + W / 2, y1 = py(p), m = (y0 + y1) / 2;
    const far = spot.get(p).row > spot.get(id).row + 1, side = Math.max(x0, x1) + W / 2 + 26; // a long edge goes around the boxes between
    const d = far ? `M${x0} ${y0}C${x0} ${y0 + 30} ${side} ${y0} ${side} ${y0 + 50}L${side} ${y1 - 50}C${side} ${y1} ${x1} ${y1 - 30} ${x1} ${y1}` : `M${x0} ${y0}C${x0} ${m} ${x1} ${m} ${x1} ${y1}`;
    root.append(svg("path", { class: nodes[p].op || nodes[p].kind === "param" ? "edge" : "edge dead", "data-edge": `${id}-${p}`, d }));
  }
  for (const id of [...seen].sort((a, b) => b - a)) {
    const n = nodes[id], text = (cls, x, y, words, end) => svg("text", { class: cls, x, y, ...(end ? { "text-anchor": "end" } : {}) }, words);
    const live = n.op || n.kind === "param", s = shape(arrays[n.v].s), size = cut(arrays[n.v].s.join("×") || "scalar", 13);
    const told = n.op && n.name.startsWith(`${n.op}_`) ? size : `${cut(n.op || n.kind, Math.max(2, 13 - size.length))} ${size}`;
    const g = svg("g", { class: `node ${n.op ? "op" : n.kind}`, "data-node": id, transform: `translate(${px(id)} ${py(id)})`, ...(live ? { tabindex: -1, role: "button" } : {}) }, svg("title", {}, `${n.name}, ${n.op || n.kind}, shape ${s}`));
    if (n.kind === "param") g.append(svg("rect", { class: "outer", x: -3, y: -3, width: W + 6, height: H + 6, rx: 8 }));
    g.append(svg("rect", { width: W, height: H, rx: 6 }), text("name", 8, 18, n.label || n.name), text("sub", 8, 35, told), text("mark", W - 7, 35, "", true));
    if (n.fan) g.append(svg("rect", { class: "fan", x: W - 22, y: -9, width: 30, height: 17, rx: 8 }), svg("text", { class: "fan", x: W - 7, y: 4, "text-anchor": "middle" }, `×${n.fan}`));
    root.append(g);
  }
  graph.replaceChildren(root);
  fit();
}
// As wide as the pane, if that makes it at most a quarter smaller; what is larger scrolls.
function fit() {
  const root = graph.querySelector("svg");
  if (!root) return;
  const [, , w, h] = root.getAttribute("viewBox").split(" ").map(Number), scale = Math.max(3 / 4, Math.min(1, graph.clientWidth / w));
  root.setAttribute("width", Math.floor(w * scale));
  root.setAttribute("height", Math.floor(h * scale));
}
const cut = (text, n) => (text.length <= n ? text : text.slice(0, n - 1) + "…");
// One tab stop: the node of the current step, or where the arrows went from there.
const live = () => [...graph.querySelectorAll('.node[role="button"]')];
function stop(g) {
  for (const other of live()) other.setAttribute("tabindex", other === g ? "0" : "-1");
}
// Left and right go through all nodes as one reads, up and down to the nearest one of the next row.
const ways = {
  ArrowRight: (all, k) => all[k + 1], ArrowLeft: (all, k) => all[k - 1],
  ArrowDown: (all, k) => nearest(all, k, Math.min(...all.map((p) => p.y).filter((y) => y > all[k].y))),
  ArrowUp: (all, k) => nearest(all, k, Math.max(...all.map((p) => p.y).filter((y) => y < all[k].y))),
};
const nearest = (all, k, y) => all.filter((p) => p.y === y).sort((p, q) => Math.abs(p.x - all[k].x) - Math.abs(q.x - all[k].x))[0];
function wander(from, key) {
  const all = live().map((g) => { const { e: x, f: y } = g.transform.baseVal[0].matrix; return { g, x, y }; }).sort((p, q) => p.y - q.y || p.x - q.x);
  const next = ways[key](all, all.findIndex((p) => p.g === from));
  if (!next) return;
  stop(next.g);
  next.g.focus();
}
function chosen(target) {
  const g = target.closest && target.closest(".node");
  if (!g || !g.hasAttribute("role")) return false;
  const id = Number(g.dataset.node), later = flows[id].find((f) => f.i > at) || flows[id][0];
  if (stepOf.has(id)) go(stepOf.get(id), true);
  else if (later) go(later.i, true);
  else say(`no kept step belongs to ${nodes[id].name}`);
  return true;
}
