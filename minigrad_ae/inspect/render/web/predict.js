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
    box.closest(".card").classList.remove("question");
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
