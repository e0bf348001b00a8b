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
