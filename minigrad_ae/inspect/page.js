"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const { nodes, steps, arrays, phrases } = data;
  const ROW = 30, AROUND = 6;
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
  const shape = (s) => (s.length ? `(${s.join(", ")}${s.length === 1 ? "," : ""})` : "()");
  const short = (x) => {
    if (typeof x === "string") return x === "nan" ? "NaN" : x === "inf" ? "+Inf" : x === "-inf" ? "-Inf" : x;
    if (x === 0) return "0";
    const size = Math.abs(x);
    return size >= 1e5 || size < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(4));
  };
  const grad = (n) => `d${data.loss}/d${nodes[n].name}`;
  const title = (s) => `${nodes[s.n].name} = ${nodes[s.n].is}`;

  // --- arrays ---
  function table(number, mark) {
    const a = arrays[number], box = el("div");
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
        if (typeof x === "string") td.classList.add("nan");
        else if (x !== 0 && size > 0) td.classList.add((x > 0 ? "b" : "o") + (1 + Math.min(2, Math.floor(3 * Math.abs(x) / size))));
        if (mark && same(mark, i, j, h.length)) td.classList.add("asked");
        tr.append(td);
      }
      body.append(tr);
    }
    t.append(body);
    const scroll = el("div", "scroll", t);
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `numbers, shape ${shape(a.s)}`);
    box.append(scroll);
    const total = a.s.reduce((x, y) => x * y, 1), left = total - rows * cols;
    const slice = h.length > 2 ? `shown: [${h.slice(0, -2).map(() => 0).join(", ")}, :, :]` : "";
    if (left > 0) box.append(el("p", "small", [slice, `+${left.toLocaleString("en")} more`].filter(Boolean).join(", ")));
    return box;
  }
  const same = (index, i, j, n) => n === 0 || (n === 1 ? index[0] === j : index[n - 2] === i && index[n - 1] === j && index.slice(0, -2).every((k) => k === 0));

  // --- cards ---
  const card = (name, ...children) => el("section", "card", el("h3", "", name), ...children);
  function codeCard(s) {
    const n = nodes[s.n], box = card("Code");
    if (n.code) box.append(el("p", "", el("code", "", n.code)));
    if (n.src) box.append(el("p", "small", n.src));
    box.append(el("p", "", el("code", "", title(s))), el("p", "small", `law: ${phrases[s.law]}`));
    return box;
  }
  function forwardCard(s) {
    const n = nodes[s.n], box = card(`Forward value of ${n.name}, ${n.dt}`, table(n.v));
    const inputs = el("details", "", el("summary", "", `computed from ${n.par.map((p) => nodes[p].name).join(", ")}`));
    for (const p of [...new Set(n.par)]) inputs.append(el("p", "", `${nodes[p].name}:`), table(nodes[p].v));
    box.append(inputs);
    return box;
  }
  function ruleCard(s) {
    const box = card("Local rule");
    for (const o of s.o) box.append(el("p", "rule num", phrases[o.bar]), el("p", "small num", phrases[o.plain]));
    box.append(el("p", "small", `ȳ (or g) is the incoming gradient. ${phrases[s.why]}`));
    return box;
  }
  function outCard(s, o) {
    const to = nodes[o.to], box = card(`Outgoing to ${to.name}: ${grad(o.to)}`), s1 = arrays[o.add].s;
    if (predicting && o.q && !revealed.has(key(s, o))) { box.append(ask(s, o)); return box; }
    if (o.axes) {
      const axes = o.axes.length === 1 ? `axis ${o.axes[0]}` : `axes ${o.axes.join(", ")}`;
      box.append(el("p", "chain num", `${shape(o.raw)} → sum over ${axes} → ${shape(s1)}`));
      box.append(el("p", "small", `${to.name} was stretched from ${shape(s1)} to ${shape(o.raw)} (broadcast); each copy sends its part back.`));
    }
    box.append(table(o.add));
    if (o.of > 1) {
      box.append(el("p", "chain", `Accumulate: contribution ${o.nth} of ${o.of}` + (o.bef === undefined ? " (the first: nothing to add to yet)" : "")));
      if (o.bef !== undefined) box.append(el("div", "pair", el("div", "", el("p", "small", "before"), table(o.bef)), el("div", "", el("p", "small", "+ added"), table(o.add)), el("div", "", el("p", "small", "= after"), table(o.aft))));
    }
    box.append(check(s, o));
    if (o.ck.st === "failed") box.classList.add("trouble");
    return box;
  }
  function check(s, o) {
    const k = o.ck, box = el("div", "check"), to = nodes[o.to].name;
    const at = k.i === null ? "" : k.i.length ? `${to}[${k.i.join(", ")}]` : to;
    if (k.st === "ok") box.append(el("p", "", el("span", "good", "✓ agree"), ` at ${at} and ${k.n - 1} more: `, el("span", "num", `rule ${short(k.a)} | forward ${short(k.b)} | rel. error ${k.e.toExponential(1)} | tolerance ${k.tol.toExponential(0)}`)));
    else if (k.st === "failed") {
      box.append(el("p", "", el("span", "bad", "✗ DISAGREE"), k.i ? ` at ${at}: ` : ": ", el("span", "num", k.a === null || k.b === null ? "" : `rule ${short(k.a)} | forward ${short(k.b)} | rel. error ${typeof k.e === "number" ? k.e.toExponential(1) : k.e}`)));
      box.append(el("p", "bad", k.why));
    } else box.append(el("p", "small", `not judged (${k.st}): ${k.why}`));
    return box;
  }
  function leavesCard() {
    const rows = nodes.map((n, id) => ({ n, id })).filter((x) => x.n.kind === "param").slice(0, 12);
    const box = card("Parameters so far"), body = el("tbody");
    for (const { n, id } of rows) {
      const got = flows[id].filter((f) => f.i <= at), all = flows[id].length ? flows[id][0].of : 0;
      const state = !all ? "no gradient flows here" : !got.length ? "not yet computed" : got.length < all ? `${got.length} of ${all} contributions` : "complete";
      const th = el("th", "", n.name);
      th.scope = "row";
      body.append(el("tr", "", th, el("td", "num", shape(arrays[n.v].s)), el("td", "", state)));
    }
    box.append(el("table", "leaves", body));
    return box;
  }
  function bottomCard(s) {
    const n = nodes[s.n], box = card("Kept for the way back, and this step in a terminal", el("p", "", `${n.mem.toLocaleString("en")} bytes`));
    const command = `python -m minigrad_ae inspect ${data.script || "SCRIPT"} --step ${s.k}`, copy = el("button", "", "Copy");
    copy.addEventListener("click", () => navigator.clipboard && navigator.clipboard.writeText(command).then(() => say("copied"), () => say("copying is not allowed here")));
    box.append(el("p", "", el("code", "", command), " ", copy));
    return box;
  }

  // --- predict ---
  const key = (s, o) => `${s.k}.${o.arg}`;
  const close = (x, y) => Math.abs(x - y) <= 0.01 * Math.abs(y) + 1e-12;
  function ask(s, o) {
    const q = o.q, box = el("div"), to = nodes[o.to].name, id = `q-${s.k}-${o.arg.replace(/\W/g, "")}`;
    const where = q.index.length ? `${grad(o.to)} [${q.index.join(", ")}]` : grad(o.to);
    const field = (name, text) => { const l = el("label", "", text), i = el("input"); i.id = `${id}-${name}`; l.htmlFor = i.id; i.autocomplete = "off"; return [l, i]; };
    const [l1, shapeInput] = field("shape", `Shape of what is sent to ${to}:`), [l2, valueInput] = field("value", `The entry ${where}:`);
    shapeInput.placeholder = "e.g. 4, 2";
    if (o.of > 1) box.append(el("p", "small", `Asked is this contribution alone: number ${o.nth} of ${o.of}.`));
    const verdict = el("div", "verdict"), answer = el("button", "primary", "Reveal"), fields = el("form");
    verdict.setAttribute("role", "status");
    fields.append(el("div", "ask", l1, shapeInput), el("div", "ask", l2, valueInput), answer);
    fields.addEventListener("submit", (e) => {
      e.preventDefault();
      revealed.add(key(s, o));
      const told = [judgeShape(shapeInput.value, q), judgeValue(valueInput.value, q)];
      for (const [good, words] of told) { asked++; if (good) right++; verdict.append(el("p", good ? "good" : "bad", `${good ? "✓" : "✗"} ${words}`)); }
      verdict.append(el("p", "small", `${right} of ${asked} right so far`));
      fields.remove();
      const shown = outCard(s, o);
      while (shown.firstChild.tagName === "H3") shown.firstChild.remove();
      box.append(...shown.childNodes);
      for (const td of markers(box, q)) td.classList.add("asked");
      answerFocus(verdict);
    });
    box.append(fields, verdict);
    return box;
  }
  const answerFocus = (v) => { v.tabIndex = -1; v.focus(); };
  function markers(box, q) {
    const t = box.querySelector(".scroll tbody");
    if (!t || q.index.slice(0, -2).some((k) => k)) return [];
    const row = t.rows[q.index.length > 1 ? q.index[q.index.length - 2] : 0], column = q.index.length ? q.index[q.index.length - 1] + 1 : 0;
    return row && row.cells[column] ? [row.cells[column]] : [];
  }
  function judgeShape(text, q) {
    const given = (text.match(/\d+/g) || []).map(Number), said = shape(given);
    if (!text.trim()) return [false, `No shape given. It is ${shape(q.shape)}: the shape of the value itself.`];
    if (said === shape(q.shape)) return [true, `Shape ${said}.`];
    const known = q.shapes.find(([s]) => shape(s) === said);
    return [false, `Shape ${said}; it is ${shape(q.shape)}. ${data.hints[known ? known[1] : "shape"]}`];
  }
  function judgeValue(text, q) {
    const x = Number(text.replace(",", ".").replace("−", "-"));
    if (!text.trim() || Number.isNaN(x)) return [false, `No number given. It is ${short(q.answer)}.`];
    if (close(x, q.answer)) return [true, `${short(q.answer)}.`];
    const known = q.wrong.find(([y]) => typeof y === "number" && close(x, y));
    return [false, `You said ${short(x)}; it is ${short(q.answer)}. ${known ? data.hints[known[1]] : ""}`];
  }

  // --- tape ---
  const tape = $("tape"), rows = $("rows"), pick = $("pick");
  rows.style.height = `${steps.length * ROW}px`;
  const bad = (s) => !s.ok || !s.fin;
  const tag = (s, i) => (!s.ok ? "WRONG" : !s.fin ? "NaN/Inf" : i < at ? "done" : i === at ? "here" : "");
  function drawTape() {
    const from = Math.max(0, Math.floor(tape.scrollTop / ROW) - 5), to = Math.min(steps.length, from + Math.ceil((tape.clientHeight || 600) / ROW) + 10);
    const shown = [];
    for (let i = from; i < to; i++) {
      const s = steps[i], row = el("div", "row", el("span", "k num", String(s.k)), el("span", "o", nodes[s.n].op), el("span", "what", nodes[s.n].name), el("span", bad(s) ? "tag bad" : "tag", tag(s, i)));
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
    if (pick.options.length || !matchMedia("(max-width: 899px)").matches) return;
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
      g.classList.toggle("bad", i !== undefined && bad(steps[i]));
      g.querySelector(".mark").textContent = id === here ? "here" : i !== undefined && bad(steps[i]) ? (steps[i].ok ? "NaN" : "✗") : done ? "✓" : "";
    }
    const known = new Map();
    for (const s of steps.slice(Math.max(0, whole ? 0 : at - 400), at + 1)) for (const o of s.o) known.set(`${s.n}-${o.to}`, s.n);
    for (const p of graph.querySelectorAll(".edge")) {
      p.classList.toggle("done", known.has(p.dataset.edge) && known.get(p.dataset.edge) !== here);
      p.classList.toggle("now", known.get(p.dataset.edge) === here);
    }
    const g = graph.querySelector(".node.here");
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
    const W = 112, H = 44, w = widest * 124 + 20, h = layers.length * 76 + 4, px = (id) => w / 2 + spot.get(id).x * 124 - W / 2, py = (id) => spot.get(id).row * 76 + 10;
    const root = svg("svg", { class: "graph", width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": "Two steps around the current op" });
    for (const id of seen) for (const p of new Set(nodes[id].par || [])) if (seen.has(p)) {
      const x0 = px(id) + W / 2, y0 = py(id) + H, x1 = px(p) + W / 2, y1 = py(p), m = (y0 + y1) / 2;
      root.append(svg("path", { class: nodes[p].op || nodes[p].kind === "param" ? "edge" : "edge dead", "data-edge": `${id}-${p}`, d: `M${x0} ${y0}C${x0} ${m} ${x1} ${m} ${x1} ${y1}` }));
    }
    for (const id of [...seen].sort((a, b) => b - a)) {
      const n = nodes[id], text = (cls, x, y, words, end) => svg("text", { class: cls, x, y, ...(end ? { "text-anchor": "end" } : {}) }, words);
      const live = n.op || n.kind === "param", s = shape(arrays[n.v].s);
      const g = svg("g", { class: `node ${n.op ? "op" : n.kind}`, "data-node": id, transform: `translate(${px(id)} ${py(id)})`, ...(live ? { tabindex: 0, role: "button", "aria-label": `${n.name}, ${n.op || n.kind}, shape ${s}` } : {}) });
      if (n.kind === "param") g.append(svg("rect", { class: "outer", x: -3, y: -3, width: W + 6, height: H + 6, rx: 8 }));
      g.append(svg("rect", { width: W, height: H, rx: 6 }), text("name", 8, 18, cut(n.name, 15)), text("sub", 8, 35, cut(`${n.op || n.kind} ${arrays[n.v].s.join("×") || "scalar"}`, 18)), text("mark", W - 6, 35, "", true));
      if (n.fan) g.append(text("fan", W - 5, 12, `×${n.fan}`, true));
      root.append(g);
    }
    graph.replaceChildren(root);
  }
  const cut = (text, n) => (text.length <= n ? text : text.slice(0, n - 1) + "…");
  function chosen(target) {
    const g = target.closest && target.closest(".node");
    if (!g || !g.hasAttribute("tabindex")) return false;
    const id = Number(g.dataset.node), later = flows[id].find((f) => f.i > at) || flows[id][0];
    if (stepOf.has(id)) go(stepOf.get(id), true);
    else if (later) go(later.i, true);
    else say(`no kept step belongs to ${nodes[id].name}`);
    return true;
  }

  // --- walking ---
  const say = (text) => { $("status").textContent = text; };
  function go(i, fromGraph) {
    at = Math.max(0, Math.min(steps.length - 1, i));
    show();
    const s = steps[at], names = s.o.map((o) => nodes[o.to].name), troubles = !s.ok ? " A check FAILED." : !s.fin ? " There is NaN or Inf." : "";
    say(`Step ${s.k} of ${data.total}, ${nodes[s.n].op}: sends gradient to ${names.join(" and ")}.${troubles}`);
    if (fromGraph) { const g = graph.querySelector(`.node[data-node="${steps[at].n}"]`); if (g) g.focus(); }
    history.replaceState(null, "", `#s=${s.k}`);
  }
  function show() {
    const s = steps[at];
    $("step-title").textContent = `Step ${s.k} of ${data.total}: ${nodes[s.n].op}, ${title(s)}`;
    const incoming = card(`Incoming gradient ${grad(s.n)}`, table(s.g));
    if (s.k === 1) incoming.append(el("p", "small", `The walk starts here: d${data.loss}/d${data.loss} = 1.`));
    $("body").replaceChildren(codeCard(s), forwardCard(s), incoming, ruleCard(s), ...s.o.map((o) => outCard(s, o)), leavesCard(), bottomCard(s));
    $("slider").value = String(at + 1);
    $("jump").value = String(s.k);
    for (const [id, off] of [["first", at === 0], ["prev", at === 0], ["next", at === steps.length - 1], ["last", at === steps.length - 1]]) $(id).setAttribute("aria-disabled", String(off));
    keepInView();
    drawTape();
    if (pick.options.length) pick.selectedIndex = at;
    if (!whole) neighbourhood();
    mark();
  }
  const text = (s) => [nodes[s.n].op, nodes[s.n].name, nodes[s.n].is, nodes[s.n].code || "", ...s.o.map((o) => nodes[o.to].name)].join("\n").toLowerCase();
  function look(wanted, words) {
    for (let d = 1; d <= steps.length; d++) { const i = (at + d) % steps.length; if (wanted(steps[i])) { go(i); return; } }
    say(words);
  }
  const search = () => { const q = $("search").value.trim().toLowerCase(); if (q) look((s) => text(s).includes(q), `no step has “${q}”`); };
  const trouble = () => look(bad, "every check passed and every number is finite");
  function predict() {
    predicting = !predicting;
    $("predict").setAttribute("aria-pressed", String(predicting));
    show();
    say(predicting ? "Predict mode: outgoing gradients are hidden until you answer." : "Predict mode is off.");
  }
  function jump(k) {
    const i = steps.findIndex((s) => s.k === k);
    if (i >= 0) go(i);
    else say(k >= 1 && k <= data.total ? `step ${k} was not kept on this page` : `step ${k} does not exist: this pass has 1 to ${data.total}`);
  }
  const keys = {
    ArrowRight: () => go(at + 1), ArrowDown: () => go(at + 1), j: () => go(at + 1), ArrowLeft: () => go(at - 1), ArrowUp: () => go(at - 1),
    k: () => go(at - 1), PageDown: () => go(at + 10), PageUp: () => go(at - 10), Home: () => go(0), End: () => go(steps.length - 1),
    "/": () => $("search").focus(), n: trouble, p: predict, g: () => (graph.querySelector(".node.here") || graph).focus(), "?": () => $("keys").showModal(),
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || $("keys").open) return;
    const target = e.target, typing = target.matches && target.matches("input, select, textarea");
    if (typing) {
      if (e.key === "Escape") { target.blur(); tape.focus(); }
      return;
    }
    if ((e.key === "Enter" || e.key === " ") && chosen(target)) { e.preventDefault(); return; }
    if (Object.hasOwn(keys, e.key)) { e.preventDefault(); keys[e.key](); }
  });
  graph.addEventListener("click", (e) => chosen(e.target));
  tape.addEventListener("scroll", drawTape);
  addEventListener("resize", () => { fillPick(); keepInView(); drawTape(); });
  pick.addEventListener("change", () => go(Number(pick.value)));
  $("first").addEventListener("click", keys.Home);
  $("prev").addEventListener("click", keys.k);
  $("next").addEventListener("click", keys.j);
  $("last").addEventListener("click", keys.End);
  $("trouble").addEventListener("click", trouble);
  $("predict").addEventListener("click", predict);
  $("help").addEventListener("click", keys["?"]);
  $("close").addEventListener("click", () => $("keys").close());
  $("slider").addEventListener("input", () => go(Number($("slider").value) - 1));
  $("jump").addEventListener("change", () => jump(Number($("jump").value)));
  $("jump").addEventListener("keydown", (e) => { if (e.key === "Enter") jump(Number($("jump").value)); });
  $("search").addEventListener("keydown", (e) => { if (e.key === "Enter") search(); });
  addEventListener("hashchange", fromHash);
  function fromHash() { const m = /^#s=(\d+)$/.exec(location.hash); if (m) jump(Number(m[1])); }

  $("value").textContent = `= ${typeof data.value === "number" ? +data.value.toPrecision(6) : data.value}`;
  $("slider").max = String(steps.length);
  $("of").textContent = `of ${data.total}`;
  fillPick();
  if (steps.length) { show(); say(`${data.total} steps. Step backward with the right arrow; ? lists the keys.`); fromHash(); }
  else { $("step-title").textContent = "No steps"; $("body").append(el("p", "", "The loss is a leaf: its gradient is 1.")); }
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
