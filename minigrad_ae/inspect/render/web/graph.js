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
const stepOf = new Map(), flows = nodes.map(() => []);
steps.forEach((s, i) => { stepOf.set(s.n, i); s.o.forEach((o) => flows[o.to].push({ i, from: s.n, of: o.of })); });
// What a box says of itself: here, done, wrong, or touched by a change.
function state(box) {
  const members = membersOf(box), own = members.map((id) => stepOf.get(id)).filter((i) => i !== undefined);
  const wrong = own.find((i) => bad(steps[i])), got = members.flatMap((id) => flows[id]);
  return {
    here: box === steps[at].n, wrong: wrong !== undefined, words: wrong === undefined ? "" : steps[wrong].ok ? "NaN" : "✗",
    done: own.length ? own.every((i) => i < at) : got.length > 0 && got.every((f) => f.i <= at),
    moved: members.some((id) => touched.get(id) === "moved"), unknown: members.some((id) => touched.get(id) === "unknown"),
    linked: !!program && box !== steps[at].n && box === linked(),
  };
}
function mark() {
  const here = steps[at].n, known = new Map();
  for (const g of graph.querySelectorAll(".node")) {
    const now = state(Number(g.dataset.node));
    for (const cls of ["here", "linked", "wrong", "moved", "unknown"]) g.classList.toggle(cls, now[cls]);
    g.lastMark = g.lastMark || g.querySelector(".mark");
    g.lastMark.textContent = now.here ? "here" : now.words || (now.done ? "✓" : "");
  }
  for (const s of steps.slice(whole || groups ? 0 : Math.max(0, at - 400), at + 1)) for (const o of s.o) known.set(`${inside.get(s.n)}-${inside.get(o.to)}`, s.n);
  for (const p of graph.querySelectorAll(".edge")) {
    p.classList.toggle("done", known.has(p.dataset.edge) && known.get(p.dataset.edge) !== here);
    p.classList.toggle("now", known.get(p.dataset.edge) === here);
  }
  const g = graph.querySelector(".node.here");
  stop(g || live()[0]);
  reveal(g);
}
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
  focus(next.g);
}
function chosen(target) {
  const g = target.closest && target.closest(".node");
  if (!g || !g.hasAttribute("role")) return false;
  const box = Number(g.dataset.node), ids = membersOf(box), own = ids.map((id) => stepOf.get(id)).filter((i) => i !== undefined).sort((a, b) => a - b);
  const later = flows[ids[0]].find((f) => f.i > at) || flows[ids[0]][0];
  if (own.length) go(own[0], true);
  else if (later) go(later.i, true);
  else say(`no kept step belongs to ${box < 0 ? groups.modules[-box - 1].name : nodes[box].name}`);
  return true;
}
