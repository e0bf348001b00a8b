// --- cards ---
const card = (name, ...children) => el("section", "card", el("h3", "", name), ...children);
const narrow = (...numbers) => numbers.every((k) => { const h = arrays[k].h; return (h.length ? h[h.length - 1] : 1) <= 3; });
// Beside each other where the tables are narrow enough, else below one another.
const beside = (yes, ...parts) => el("div", yes ? "beside" : "", ...parts);
function troubleCard(s) {
  if (s.fin) return null;
  if (s.made !== undefined) return troubled(card("NaN or Inf is made here", el("p", "", phrases[s.made])));
  if (data.origin === null) return troubled(card("NaN or Inf passes through", el("p", "small", "It came with the data, or was made where nothing was recorded.")));
  const there = el("button", "", `To step ${data.origin}`);
  there.addEventListener("click", () => jump(data.origin));
  return troubled(card("NaN or Inf passes through", el("p", "", `It is made at step ${data.origin}. `, there)));
}
const troubled = (box) => { box.classList.add("trouble"); return box; };
function codeCard(s) {
  const n = nodes[s.n], line = (code, words) => el("p", "code", el("code", "", code), el("span", "small", words));
  return card("Code", n.code ? line(n.code, n.src || "") : null, line(title(s), `law: ${phrases[s.law]}`));
}
function forwardCard(s) {
  const n = nodes[s.n], box = card(`Forward value of ${n.name}, ${n.dt}`, table(n.v));
  const inputs = el("details", "", el("summary", "", `computed from ${n.par.map((p) => nodes[p].name).join(", ")}`));
  for (const p of [...new Set(n.par)]) inputs.append(el("p", "", `${nodes[p].name}:`), table(nodes[p].v));
  box.append(inputs);
  return box;
}
// In words, which contributions made the gradient of a node; in numbers for its largest entry on the page.
function origins(id) {
  const parts = [...new Set(flows[id].map((f) => f.i))].flatMap((i) => steps[i].o.filter((o) => o.to === id).map((o) => ({ o, name: nodes[steps[i].n].name, k: steps[i].k })));
  const place = ({ name, k }) => `${name} (step ${k})`, name = nodes[id].name;
  if (parts.length < 2) return parts.length ? `All of it came from ${place(parts[0])}, the one place where ${name} was used.` : "";
  const told = `${name} was used ${parts.length} times, and each use sent its part: ${parts.slice(0, -1).map(place).join(", ")} and ${place(parts[parts.length - 1])}.`;
  const total = arrays[parts[parts.length - 1].o.aft], sent = parts.map((p) => arrays[p.o.add].v);
  const k = total.v.reduce((best, x, j) => (Math.abs(x) > Math.abs(total.v[best]) ? j : best), 0);
  if (![total.v, ...sent].every((v) => typeof v[k] === "number")) return told;
  const index = total.h.map((n, d) => Math.floor(k / total.h.slice(d + 1).reduce((x, y) => x * y, 1)) % n);
  return `${told} Its largest entry${index.length ? `, [${index.join(", ")}],` : ""} is ${sent.map((v, j) => `${short(v[k])} from ${parts[j].name}`).join(" and ")}: ${short(total.v[k])}.`;
}
function incomingCard(s) {
  const box = card(`Incoming gradient ${grad(s.n)}`, table(s.g)), words = origins(s.n);
  if (words) box.append(el("p", "small", words));
  if (s.hook) box.append(el("p", "small", "A hook has changed it: this is no longer the sum of the contributions."));
  if (s.k === 1) box.append(el("p", "small", `The walk starts here: d${data.loss}/d${data.loss} = 1.`));
  return box;
}
function ruleCard(s) {
  const box = card("Local rule");
  for (const o of s.o) if (s.o.findIndex((p) => p.arg === o.arg) === s.o.indexOf(o)) box.append(scrolling("rule", `the rule for ${o.arg}`, maths(formulas[o.bar])), el("p", "small num", `dL/d${o.arg} = ${phrases[o.rule]}`));
  box.append(el("p", "", `Why: ${phrases[s.why]}.`), el("p", "small", "A bar is for the gradient of the loss: ȳ, or g in code, is what came in."));
  return box;
}
function outCard(s, o) {
  const to = nodes[o.to], box = card(`Outgoing to ${to.name}: ${grad(o.to)}`), s1 = arrays[o.add].s;
  if (predicting && o.q && !revealed.has(key(s, o))) { box.classList.add("question"); box.append(ask(s, o)); return box; }
  if (o.axes) {
    const axes = o.axes.length === 1 ? `axis ${o.axes[0]}` : `axes ${o.axes.join(", ")}`;
    box.append(el("p", "chain num", `${shape(o.raw)} → sum over ${axes} → ${shape(s1)}`));
    box.append(el("p", "small", `${to.name} was stretched from ${shape(s1)} to ${shape(o.raw)} (broadcast); each copy sends its part back.`));
  }
  box.append(beside(narrow(o.add), table(o.add), check(s, o)));
  if (o.of > 1) {
    box.append(el("p", "chain", `Accumulate: contribution ${o.nth} of ${o.of}` + (o.bef === undefined ? " (the first: nothing to add to yet)" : "")));
    if (o.bef !== undefined) box.append(el("div", "pair", el("div", "", el("p", "small", "before"), table(o.bef)), el("div", "", el("p", "small", "+ added"), table(o.add)), el("div", "", el("p", "small", "= after"), table(o.aft))));
    if (o.nth === o.of) box.append(el("p", "", `Why this sum: ${origins(o.to)}`));
  }
  if (o.ck.st === "failed") box.classList.add("trouble");
  return box;
}
function check(s, o) {
  const k = o.ck, box = el("div", "check"), to = nodes[o.to].name;
  const at = k.i === null ? "" : k.i.length ? `${to}[${k.i.join(", ")}]` : to;
  const numbers = (...parts) => el("span", "num", parts.join("  "));
  const error = typeof k.e === "number" ? k.e.toExponential(1) : k.e;
  if (k.st === "ok") {
    box.append(el("p", "", el("span", "good", "✓ agree"), ` at ${at}${k.n > 1 ? ` and ${k.n - 1} more` : ""}`));
    box.append(el("p", "small num", `rule ${short(k.a)}, forward ${short(k.b)}`), el("p", "small", el("span", "whole", `relative error ${k.e ? error : "0"},`), " ", el("span", "whole", `tolerance ${k.tol.toExponential(0)}`)));
  } else if (k.st === "failed") {
    box.append(el("p", "", el("span", "bad", "✗ DISAGREE"), k.i ? ` at ${at}: ` : ": ", k.a === null || k.b === null ? "" : numbers(`rule ${short(k.a)}`, `forward ${short(k.b)}`, `relative error ${error}`)));
    box.append(el("p", "bad", k.why));
  } else box.append(el("p", "small", `not judged (${k.st}): ${k.why}`));
  return box;
}
function leavesCard() {
  const rows = nodes.map((n, id) => ({ n, id })).filter((x) => x.n.kind === "param").slice(0, 12);
  const box = card("Parameters so far"), body = el("tbody");
  for (const { n, id } of rows) {
    const got = flows[id].filter((f) => f.i <= at), all = flows[id].length ? flows[id][0].of : 0, whole = data.leaves[id];
    const state = !all ? "no gradient flows here" : !got.length ? "not yet computed" : got.length < all ? `${got.length} of ${all} contributions` : "complete";
    const th = el("th", "", n.name), seen = el("td", "");
    th.scope = "row";
    if (state === "complete" && whole && whole.st === "ok") seen.append(el("span", "good", "✓"), ` agrees with the loss as a whole: relative error ${whole.e ? whole.e.toExponential(1) : "0"}`);
    else if (state === "complete" && whole && whole.st === "failed") seen.append(el("span", "bad", "✗ DISAGREES with the loss as a whole"), `: relative error ${whole.e.toExponential(1)}`);
    body.append(el("tr", "", th, el("td", "num", shape(arrays[n.v].s)), el("td", "", state), seen));
  }
  box.append(el("table", "leaves", body));
  return box;
}
function bottomCard(s) {
  const n = nodes[s.n], box = card("Memory, and this step in a terminal", el("p", "", `${n.mem.toLocaleString("en")} bytes are kept for the backward pass`));
  const command = data.again.join(s.k), copy = el("button", "", "Copy");
  copy.addEventListener("click", () => navigator.clipboard && navigator.clipboard.writeText(command).then(() => say("copied"), () => say("copying is not allowed here")));
  box.append(el("p", "", el("code", "", command), " ", copy));
  return box;
}
