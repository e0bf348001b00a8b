// --- program ---
const list = $("lines"), linesOf = new Map();
let line = 0;
const linked = () => program.lines[line].n;
const amount = (x) => { for (const [size, sign] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) if (x >= size) return `${+(x / size).toPrecision(3)}${sign}`; return `${x}`; };
const percent = (x) => `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)} %`;
const rowOf = [], blockOf = [];
// The meter is as long as the line's part of the time; filled is what the roof would need.
function meter(row, most) {
  const filled = el("span", "filled"), all = el("span", "meter", filled);
  all.style.width = `${Math.max(1, 100 * row.us / most)}%`;
  filled.style.width = `${100 * Math.min(1, row.roof)}%`;
  return el("span", "meters", all);
}
function costs(row) {
  if (!row) return [];
  const parts = row.us === undefined ? [] : [el("b", "", `${short(row.us)} µs`), percent(row.share)];
  if (row.bytes) parts.push(`${amount(row.flops)} flops`, `${amount(row.bytes)} bytes`);
  if (row.bytes && row.us !== undefined) parts.push(`${percent(row.roof)} of roof`);
  return parts.map((p) => el("span", "whole", p));
}
function lineRow(i, most) {
  const { t, how } = program.lines[i], row = rowOf[i], block = blockOf[i], [, words, size] = /^([^]*?)(  # \(.*\))?$/.exec(t);
  const told = el("span", "costs num", ...costs(row), el("span", "whole", how), block === undefined ? null : el("span", "block", `block ${block + 1}`));
  const e = el("div", "line", el("span", "k num", String(i + 1)), el("span", "does", el("code", "", words, size ? el("span", "whole", size) : null), row && row.us !== undefined ? meter(row, most) : null, told));
  e.id = `line-${i}`;
  e.setAttribute("role", "option");
  e.setAttribute("aria-setsize", String(program.lines.length));
  e.setAttribute("aria-posinset", String(i + 1));
  e.addEventListener("click", () => choose(i));
  return e;
}
function fillProgram() {
  $("program").hidden = $("program-key").hidden = false;
  document.querySelector(".panes").classList.add("with-program");
  program.rows.forEach((row) => { rowOf[row.lines[0]] = row; });
  program.blocks.forEach((b, k) => b.lines.forEach((i) => { blockOf[i] = k; }));
  program.lines.forEach((l, i) => { if (l.n >= 0) linesOf.set(l.n, [...(linesOf.get(l.n) || []), i]); });
  $("program-facts").textContent = program.facts;
  $("bar-legend").hidden = !program.rows.some((r) => r.us !== undefined);
  const most = Math.max(...program.rows.map((r) => r.us || 0)), all = program.lines.map((l, i) => lineRow(i, most));
  for (const [name, part] of [["Forward", all.slice(0, program.boundary)], ["Backward", all.slice(program.boundary)]]) {
    const group = el("div", "lines", el("div", "head", name), ...part);
    group.firstChild.setAttribute("aria-hidden", "true");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", name);
    list.append(group);
  }
}
// A line and the graph's node that it comes from belong together: choosing the one marks the other.
function choose(i) {
  line = Math.max(0, Math.min(program.lines.length - 1, i));
  const n = program.lines[line].n;
  if (n >= 0 && stepOf.has(n)) go(stepOf.get(n));
  else { markProgram(); mark(); say(`Line ${line + 1}: ${n < 0 ? "it belongs to no node of the graph" : `${nodes[n].name} is given`}. ${shared()}`); }
}
function toStep() {
  const mine = linesOf.get(steps[at].n) || [];
  if (mine.length && !mine.includes(line)) line = mine[0];
  markProgram();
}
function shared() {
  const k = blockOf[line];
  if (k === undefined) return "It has no memory of its own.";
  const rest = program.blocks[k].lines.filter((i) => i !== line).map((i) => i + 1), size = program.blocks[k].size.toLocaleString("en");
  return `Line ${line + 1} writes to block ${k + 1}, ${size} bytes` + (rest.length ? `; so ${rest.length === 1 ? "does line" : "do lines"} ${rest.join(", ")}, at another time.` : ", which is its own.");
}
function markProgram() {
  const here = steps[at].n, mine = linesOf.get(here) || [];
  list.querySelectorAll(".line").forEach((e, i) => {
    e.setAttribute("aria-selected", String(i === line));
    e.classList.toggle("here", mine.includes(i));
    e.classList.toggle("shares", i !== line && blockOf[i] !== undefined && blockOf[i] === blockOf[line]);
  });
  list.setAttribute("aria-activedescendant", `line-${line}`);
  $("shared").textContent = shared();
  const a = $(`line-${line}`).getBoundingClientRect(), b = list.getBoundingClientRect();
  if (a.top < b.top) list.scrollTop += a.top - b.top - 8;
  else if (a.bottom > b.bottom) list.scrollTop += Math.min(a.top - b.top, a.bottom - b.bottom + 8);
}
const lineKeys = { ArrowDown: () => choose(line + 1), ArrowUp: () => choose(line - 1), Home: () => choose(0), End: () => choose(program.lines.length - 1), PageDown: () => choose(line + 10), PageUp: () => choose(line - 10) };
