// The data of the page, and how numbers and arrays are shown.  The files are one script, in this order:
// base, nd and the ops of this graph (where they can be computed here), cards, predict, view, draw, graph, program (where there is
// one), whatif, walk.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { nodes, steps, arrays, phrases, formulas, program } = data;
for (const n of nodes) {
  n.dt ??= data.dtype;
  for (const key of ["src", "code"]) if (key in n) n[key] = phrases[n[key]];
}
const computing = !data.live.off; // whether numbers can be changed here
const ROW = 30, AROUND = 6;
const touched = new Map(); // what a changed number has moved: node -> "moved" or "unknown"
let at = 0, predicting = false, revealed = new Set(), right = 0, asked = 0;

// Every text from the traced program goes through here: as text, never as markup.
const el = (tag, cls, ...children) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  for (const c of children) if (c !== null && c !== undefined) e.append(c);
  return e;
};
const svg = (tag, attributes, ...children) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
};
// A formula, [tag, part, ...], as MathML.
const maths = ([tag, ...parts]) => {
  const e = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
  e.append(...parts.map((p) => (typeof p === "string" ? p : maths(p))));
  return e;
};
const shape = (s) => (s.length ? `(${s.join(", ")}${s.length === 1 ? "," : ""})` : "()");
const short = (x) => {
  if (typeof x === "string") return x === "nan" ? "NaN" : x === "inf" ? "+Inf" : x === "-inf" ? "-Inf" : x;
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size >= 1e5 || size < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(4));
};
// What may be wider than its card scrolls by itself, by keyboard, too.
function scrolling(cls, label, child) {
  const box = el("div", `scroll ${cls}`, child);
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", label);
  return box;
}
const grad = (n) => `d${data.loss}/d${nodes[n].name}`;
const title = (s) => `${nodes[s.n].name} = ${nodes[s.n].is}`;

// --- arrays ---
function table(number, mark) {
  const a = arrays[number], box = el("div"), old = a.was === undefined ? null : arrays[a.was];
  if (a.off) { box.append(el("p", "small", `${shape(a.s)}  not known after the change: ${a.off}`)); return box; }
  const facts = [];
  if (a.min !== undefined && a.s.length) facts.push(`min ${short(a.min)}`, `max ${short(a.max)}`, `mean ${short(a.mean)}`);
  if (a.nan) facts.push(`${a.nan} NaN`);
  if (a.inf) facts.push(`${a.inf} Inf`);
  const line = el("p", "small num", `${shape(a.s)}  ${facts.join("  ")}`);
  if (a.nan || a.inf) line.classList.add("bad");
  box.append(line);
  if (!a.v.length) return box;
  const h = a.h, cols = Math.min(h.length ? h[h.length - 1] : 1, 8), rows = Math.min(h.length > 1 ? h[h.length - 2] : 1, 8);
  const wide = h.length ? h[h.length - 1] : 1;
  const size = Math.max(...a.v.map((x) => (typeof x === "number" ? Math.abs(x) : 0)));
  const t = el("table");
  if (h.length) {
    const head = el("tr", "", el("td", ""));
    for (let j = 0; j < cols; j++) { const th = el("th", "", String(j)); th.scope = "col"; head.append(th); }
    t.append(el("thead", "", head));
  }
  const body = el("tbody");
  for (let i = 0; i < rows; i++) {
    const tr = el("tr");
    if (h.length) { const th = el("th", "", h.length > 1 ? String(i) : ""); if (h.length > 1) { th.scope = "row"; tr.append(th); } else tr.append(el("td", "")); }
    for (let j = 0; j < cols; j++) {
      const x = a.v[i * wide + j], td = el("td", "num", short(x));
      if (old && short(old.v[i * wide + j]) !== short(x)) { td.classList.add("changed"); td.title = `recorded: ${short(old.v[i * wide + j])}`; }
      if (typeof x === "string") td.classList.add("nan");
      else if (x !== 0 && size > 0) td.classList.add((x > 0 ? "b" : "o") + (1 + Math.min(2, Math.floor(3 * Math.abs(x) / size))));
      if (mark && same(mark, i, j, h.length)) td.classList.add("asked");
      tr.append(td);
    }
    body.append(tr);
  }
  t.append(body);
  box.append(scrolling("", `numbers, shape ${shape(a.s)}`, t));
  const total = a.s.reduce((x, y) => x * y, 1), left = total - rows * cols;
  const slice = h.length > 2 ? `shown: [${h.slice(0, -2).map(() => 0).join(", ")}, :, :]` : "";
  if (left > 0) box.append(el("p", "small", [slice, `+${left.toLocaleString("en")} more`].filter(Boolean).join(", ")));
  return box;
}
const same = (index, i, j, n) => n === 0 || (n === 1 ? index[0] === j : index[n - 2] === i && index[n - 1] === j && index.slice(0, -2).every((k) => k === 0));
