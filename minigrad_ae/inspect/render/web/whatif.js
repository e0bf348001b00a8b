// --- change a number and watch ---
// Forward and backward once more, by the rules translated from Python; first with the recorded numbers: an op
// or a rule that does not give what was recorded is not used.
const exact = data.live, TOLERANCE = 1e-12, RECORDED = arrays.length;
const pristine = { v: nodes.map((n) => n.v), s: steps.map((s) => ({ g: s.g, o: s.o.map(({ add, bef, aft }) => ({ add, bef, aft })) })) };
const doubts = new Map(); // "node" or "step.contribution" -> why it is not computed here
let values = [], edit = null;
const numbersOf = (k) => new Float64Array(Uint8Array.from(atob(exact.blobs[k]), (c) => c.charCodeAt(0)).buffer);
const shapeOf = (id) => arrays[pristine.v[id]].s;
const nameOf = (id, place) => (place.length ? `${nodes[id].name}[${place.join(", ")}]` : nodes[id].name);

const inputsOf = (law, par, known) => { const xs = par.map((p) => known[p]); return law.inputs ? xs : [xs]; };
function forward(id, known) {
  const { op, par } = nodes[id], given = exact.settings[id] || [];
  if (typeof laws[op] === "string") throw Error(laws[op]);
  if (typeof given === "string") throw Error(given);
  return nd.array(laws[op].forward(...inputsOf(laws[op], par, known), ...given));
}
function ruled(s, o, g, known) {
  const { op, par } = nodes[s.n], given = exact.settings[s.n] || [];
  if (typeof laws[op] === "string") throw Error(laws[op]);
  const law = laws[op], many = !law.inputs, i = many ? Number(/\d+/.exec(o.arg)[0]) : law.inputs.indexOf(o.arg), rule = law.rules[many ? 0 : i];
  if (typeof rule === "string") throw Error(rule);
  return nd.fit(rule(g, known[s.n], ...inputsOf(law, par, known), ...(many ? [i] : []), ...given), shapeOf(o.to));
}
// The largest difference in units of the largest number, which is what rounding scales with.
function apart(x, y) {
  if (x.shape.join() !== y.shape.join()) return Infinity;
  const size = y.data.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0);
  return x.data.reduce((m, v, k) => (Object.is(v, y.data[k]) || v === y.data[k] ? m : Math.max(m, Math.abs(v - y.data[k]) / size || (Number.isNaN(v - y.data[k]) ? Infinity : 0))), 0);
}
function tried(key, compute, expected) {
  try {
    const off = apart(compute(), expected);
    if (!(off <= TOLERANCE)) doubts.set(key, `it gives other numbers here than recorded, by ${off.toExponential(0)} of the largest`);
  } catch (error) { doubts.set(key, error.message); }
}
function verify() {
  values = nodes.map((n, id) => new nd.Nd(shapeOf(id), numbersOf(exact.values[id])));
  nodes.forEach((n, id) => { if (n.op) tried(`${id}`, () => forward(id, values), values[id]); });
  steps.forEach((s, i) => {
    const g = new nd.Nd(shapeOf(s.n), numbersOf(exact.steps[i][0]));
    s.o.forEach((o, j) => tried(`${i}.${j}`, () => ruled(s, o, g, values), new nd.Nd(shapeOf(o.to), numbersOf(exact.steps[i][1][j]))));
  });
}

// A value or a gradient is an array, or the word why it is not known.
const unknown = (x) => typeof x === "string";
function again() {
  const now = [...values], moved = new Set([edit.id]), grads = new Map([[steps[0].n, nd.ones_like(values[steps[0].n])]]);
  now[edit.id] = new nd.Nd(shapeOf(edit.id), values[edit.id].data.with(edit.flat, edit.number));
  nodes.forEach((n, id) => {
    if (!n.op || !n.par.some((p) => moved.has(p))) return;
    moved.add(id);
    const blind = n.par.find((p) => unknown(now[p]));
    now[id] = blind !== undefined ? `${nodes[blind].name} is not known` : doubts.has(`${id}`) ? doubts.get(`${id}`) : forward(id, now);
  });
  const sent = steps.map((s, i) => {
    const g = s.hook ? "a hook of the program changes it" : grads.get(s.n);
    const blind = [s.n, ...nodes[s.n].par].find((p) => unknown(now[p]));
    return { g, o: s.o.map((o, j) => {
      const add = unknown(g) ? "the incoming gradient is not known" : blind !== undefined ? `${nodes[blind].name} is not known` : doubts.get(`${i}.${j}`) ?? ruled(s, o, g, now);
      const bef = grads.get(o.to), aft = bef === undefined || unknown(add) ? add : unknown(bef) ? bef : nd.add(bef, add);
      grads.set(o.to, aft);
      return { add, bef, aft };
    }) };
  });
  return { now, moved, sent };
}

// --- shown in the cards in place of what was recorded ---
function put(x, was) {
  const s = arrays[was].s, h = arrays[was].h;
  if (unknown(x)) return arrays.push({ s, h: [0], v: [], off: x }) - 1;
  const head = h.length === s.length ? nd.corner(x, h).data : [], word = (v) => (Number.isFinite(v) ? v : String(v).replace("Infinity", "inf").replace("NaN", "nan"));
  const finite = x.data.filter(Number.isFinite), sum = finite.reduce((a, b) => a + b, 0), nan = x.data.filter(Number.isNaN).length;
  const facts = finite.length ? { min: finite.reduce((a, b) => Math.min(a, b)), max: finite.reduce((a, b) => Math.max(a, b)), mean: sum / finite.length } : {};
  return arrays.push({ s, h, v: Array.from(head, word), ...facts, nan, inf: x.size - finite.length - nan, was }) - 1;
}
function restore() {
  arrays.length = RECORDED;
  nodes.forEach((n, id) => { n.v = pristine.v[id]; });
  steps.forEach((s, i) => { s.g = pristine.s[i].g; s.o.forEach((o, j) => Object.assign(o, pristine.s[i].o[j])); });
  touched.clear();
}
function watch() {
  restore();
  const { now, moved, sent } = again();
  for (const id of moved) nodes[id].v = put(now[id], pristine.v[id]);
  steps.forEach((s, i) => {
    const old = pristine.s[i];
    s.g = put(sent[i].g, old.g);
    s.o.forEach((o, j) => { for (const key of ["add", "bef", "aft"]) if (o[key] !== undefined) o[key] = put(sent[i].o[j][key], old.o[j][key]); });
  });
  for (const id of moved) touched.set(id, unknown(now[id]) ? "unknown" : "moved");
  refresh();
  $("what-table").replaceChildren(table(nodes[edit.id].v, edit.place));
  tell(now, moved);
}
const refresh = () => { const top = $("cards").scrollTop; show(); $("cards").scrollTop = top; };
const long = (x) => (Number.isFinite(x) ? String(+x.toPrecision(7)) : String(x)), signed = (x) => (x > 0 ? `+${short(x)}` : short(x));
function tell(now, moved) {
  const loss = steps[0].n, was = values[loss].data[0], known = !unknown(now[loss]), is = known ? now[loss].data[0] : NaN, change = edit.number - edit.was;
  const row = (name, ...cells) => { const th = el("th", "", name); th.scope = "row"; return el("tr", "", th, ...cells.map((c) => el("td", "num", c))); };
  const lines = [row(nameOf(edit.id, edit.place), long(edit.was), long(edit.number), signed(change)), row(data.loss, long(was), known ? long(is) : "not known", known ? signed(is - was) : now[loss])];
  const head = el("tr", "", el("td"), ...["recorded", "now", "change"].map((w) => { const th = el("th", "", w); th.scope = "col"; return th; }));
  const told = [scrolling("", "recorded and now", el("table", "", el("thead", "", head), el("tbody", "", ...lines)))];
  const slope = slopeOf(edit.id);
  if (slope && known) {
    const g = slope.data[edit.flat];
    told.push(el("p", "small", `The gradient promised ${signed(g * change)}: d${data.loss}/d${nameOf(edit.id, edit.place)} = ${short(g)}, times the change. What is missing is curvature: along the way the gradient itself changes.`));
  }
  told.push(el("p", "small", `${moved.size} of ${nodes.length} values have changed, and the gradients below with them; checks are those of the recorded numbers.`));
  $("what-told").replaceChildren(...told);
  $("value").textContent = `= ${long(was)} → ${known ? long(is) : "not known"}`;
}
// The recorded gradient of a leaf.
function slopeOf(id) {
  let total = null;
  steps.forEach((s, i) => s.o.forEach((o, j) => { if (o.to === id) { const g = new nd.Nd(shapeOf(id), numbersOf(exact.steps[i][1][j])); total = total ? nd.add(total, g) : g; } }));
  return total;
}

// --- the panel ---
const flatOf = (place, s) => (place.length === s.length && place.every((k, d) => Number.isInteger(k) && k >= 0 && k < s[d]) ? place.reduce((f, k, d) => f * s[d] + k, 0) : -1);
function choosePlace(place) {
  const id = Number($("what-leaf").value), flat = flatOf(place, shapeOf(id));
  unedit();
  if (flat < 0) { $("what-told").replaceChildren(el("p", "bad", `${nodes[id].name} has shape ${shape(shapeOf(id))}: an entry is ${shapeOf(id).map((n) => `0 to ${n - 1}`).join(", ")}`)); return; }
  const was = values[id].data[flat], span = Math.max(1, 2 * Math.abs(was)), slider = $("what-slider");
  edit = { id, place, flat, was, number: was };
  $("what-place").value = place.join(", ");
  [slider.min, slider.max, slider.value] = [was - span, was + span, was];
  $("what-number").value = long(was);
  $("what-table").replaceChildren(table(nodes[id].v, place));
  $("what-told").replaceChildren();
}
function chooseCell(td) {
  const rank = edit ? edit.place.length : 0, row = td?.parentNode.sectionRowIndex;
  if (rank && td.classList.contains("num")) choosePlace([...edit.place.slice(0, -2).map(() => 0), ...(rank > 1 ? [row] : []), td.cellIndex - 1]);
}
function chooseLeaf() {
  const s = shapeOf(Number($("what-leaf").value));
  $("what-place").disabled = !s.length;
  choosePlace(s.map(() => 0));
}
function change(x) {
  if (!edit) return;
  if (!Number.isFinite(x)) { $("what-told").replaceChildren(el("p", "bad", "That is no number.")); return; }
  edit.number = x;
  watch();
}
function unedit() {
  if (edit) { edit = null; restore(); refresh(); }
  $("value").textContent = asRecorded;
}
const typed = (id) => Number($(id).value.replace(",", ".").replace("−", "-").trim() || NaN);
function fillWhat() {
  verify();
  const leaves = nodes.map((n, id) => ({ n, id })).filter(({ n, id }) => !n.op && n.dt === "float64" && values[id].size), rank = ({ n, id }) => (n.kind === "param" ? 0 : shapeOf(id).length ? 1 : 2);
  for (const leaf of leaves.sort((p, q) => rank(p) - rank(q))) { const o = el("option", "", `${leaf.n.name} ${shape(shapeOf(leaf.id))}`); o.value = String(leaf.id); $("what-leaf").append(o); }
  const off = [...new Set([...doubts].map(([key, why]) => `${nodes[key.includes(".") ? steps[key.split(".")[0]].n : key].name}: ${why}`))];
  $("what-off").textContent = off.length ? `Not computed here: ${off.slice(0, 4).join("; ")}${off.length > 4 ? `; and ${off.length - 4} more` : ""}.` : `Computed again on this page, all ${nodes.filter((n) => n.op).length} values and ${steps.flatMap((s) => s.o).length} contributions agree with the recorded ones to ${TOLERANCE}.`;
  $("what").addEventListener("toggle", () => { if ($("what").open && !edit) chooseLeaf(); });
  $("what-leaf").addEventListener("change", chooseLeaf);
  $("what-place").addEventListener("change", () => choosePlace(($("what-place").value.match(/-?\d+/g) || []).map(Number)));
  $("what-number").addEventListener("change", () => { change(typed("what-number")); $("what-slider").value = $("what-number").value; });
  $("what-slider").addEventListener("input", () => { $("what-number").value = long(Number($("what-slider").value)); change(Number($("what-slider").value)); });
  $("what-table").addEventListener("click", (e) => chooseCell(e.target.closest("td")));
  $("what-reset").addEventListener("click", () => edit && choosePlace(edit.place));
}
