// --- walking ---
const say = (text) => { $("status").textContent = text; };
function go(i, fromGraph) {
  at = Math.max(0, Math.min(steps.length - 1, i));
  show();
  const s = steps[at], names = s.o.map((o) => nodes[o.to].name), troubles = !s.ok ? " A check FAILED." : !s.fin ? " There is NaN or Inf." : "";
  say(`Step ${s.k} of ${data.total}, ${nodes[s.n].op}: sends gradient to ${names.join(" and ")}.${troubles}`);
  if (fromGraph) { const g = graph.querySelector(`.node[data-node="${steps[at].n}"]`); if (g) focus(g); }
  try { history.replaceState(null, "", `#s=${s.k}`); } catch { /* in a frame without an address */ }
}
function show() {
  const s = steps[at];
  $("step-title").textContent = `Step ${s.k} of ${data.total}: ${nodes[s.n].op}, ${title(s)}`;
  const cards = [troubleCard(s), codeCard(s), beside(narrow(nodes[s.n].v, s.g), forwardCard(s), incomingCard(s)), ruleCard(s)];
  $("body").replaceChildren(...cards.filter(Boolean), ...s.o.map((o) => outCard(s, o)), leavesCard(), bottomCard(s));
  const question = predicting && $("body").querySelector(".question");
  $("cards").scrollTop = question ? question.getBoundingClientRect().bottom - $("cards").getBoundingClientRect().bottom + $("cards").scrollTop + 12 : 0;
  $("slider").value = String(at + 1);
  $("jump").value = String(s.k);
  for (const [id, off] of [["first", at === 0], ["prev", at === 0], ["next", at === steps.length - 1], ["last", at === steps.length - 1]]) $(id).setAttribute("aria-disabled", String(off));
  keepInView();
  drawTape();
  if (pick.options.length) pick.selectedIndex = at;
  draw();
  if (program) toStep();
  mark();
}
function facts() {
  const checks = steps.flatMap((s) => s.o.map((o) => o.ck.st)), wrong = checks.filter((st) => st === "failed").length, all = checks.filter((st) => st === "ok").length + wrong;
  const whole = Object.values(data.leaves).filter((f) => f.st === "ok" || f.st === "failed"), off = whole.filter((f) => f.st === "failed").length, rest = Object.keys(data.leaves).length - whole.length;
  const told = [`${data.total.toLocaleString("en")} steps, ${data.dtype}`];
  if (all) told.push(wrong ? `${wrong} of ${all} rules WRONG` : `${all} rules agree with their forward`);
  if (whole.length) told.push(off ? `${off} of ${whole.length} gradients DISAGREE with the loss` : `${whole.length} gradients agree with the loss as a whole${rest ? ` (${rest} not checked)` : ""}`);
  if (data.origin !== null) told.push(`NaN or Inf is made at step ${data.origin}`);
  return told.join(" · ");
}
const text = (s) => [nodes[s.n].op, nodes[s.n].name, nodes[s.n].is, nodes[s.n].code || "", ...s.o.map((o) => nodes[o.to].name)].join("\n").toLowerCase();
function look(wanted, words) {
  for (let d = 1; d <= steps.length; d++) { const i = (at + d) % steps.length; if (wanted(steps[i])) { go(i); return; } }
  say(words);
}
const search = () => { const q = $("search").value.trim().toLowerCase(); if (q) look((s) => text(s).includes(q), `no step has “${q}”`); };
const trouble = () => look(bad, "every check passed and every number is finite");
function predict() {
  if (computing && edit) { $("what").open = false; unedit(); }
  predicting = !predicting;
  $("what").hidden = predicting;
  $("predict").setAttribute("aria-pressed", String(predicting));
  show();
  say(predicting ? "Predict mode: outgoing gradients are hidden until you answer." : "Predict mode is off.");
}
function openWhat() {
  if (predicting) { say("Leave predict mode first: p."); return; }
  $("what").open = true;
  if (computing && !edit) chooseLeaf();
  (computing ? $("what-number") : $("what").firstElementChild).focus();
}
function jump(k) {
  const i = steps.findIndex((s) => s.k === k);
  if (i >= 0) go(i);
  else say(k >= 1 && k <= data.total ? `step ${k} was not kept on this page` : `step ${k} does not exist: this pass has 1 to ${data.total}`);
}
const keys = {
  ArrowRight: () => go(at + 1), ArrowDown: () => go(at + 1), j: () => go(at + 1), ArrowLeft: () => go(at - 1), ArrowUp: () => go(at - 1),
  k: () => go(at - 1), PageDown: () => go(at + 10), PageUp: () => go(at - 10), Home: () => go(0), End: () => go(steps.length - 1),
  "/": () => $("search").focus(), n: trouble, p: predict, c: openWhat, f: foldModules, "+": () => zoomed(1.25), "-": () => zoomed(0.8), 0: fit, l: () => program && list.focus(), g: () => { const g = graph.querySelector(".node.here") || live()[0]; if (g) focus(g); }, "?": () => $("keys").showModal(),
};
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || $("keys").open) return;
  const target = e.target, typing = target.matches && target.matches("input, select, textarea");
  if (typing) {
    if (e.key === "Escape") { target.blur(); tape.focus(); }
    return;
  }
  if ((e.key === "Enter" || e.key === " ") && chosen(target)) { e.preventDefault(); return; }
  if (program && list.contains(target) && Object.hasOwn(lineKeys, e.key)) { e.preventDefault(); lineKeys[e.key](); return; }
  const node = target.closest && target.closest(".node");
  if (node && e.shiftKey && Object.hasOwn(panned, e.key)) { e.preventDefault(); place(view.x + panned[e.key][0], view.y + panned[e.key][1]); return; }
  if (node && e.key === "Escape") { node.blur(); tape.focus(); return; }
  if (node && Object.hasOwn(ways, e.key)) { e.preventDefault(); wander(node, e.key); return; }
  if (Object.hasOwn(keys, e.key)) { e.preventDefault(); keys[e.key](); }
});
graph.addEventListener("click", (e) => chosen(e.target));
tape.addEventListener("scroll", drawTape);
addEventListener("resize", () => { fillPick(); keepInView(); drawTape(); if (steps.length) { measure(); settle(); mark(); } });
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

const asRecorded = `= ${typeof data.value === "number" ? +data.value.toPrecision(6) : data.value}`;
$("value").textContent = asRecorded;
$("facts").textContent = facts();
$("slider").max = String(steps.length);
$("of").textContent = `of ${data.total}`;
if (program) fillProgram();
$("what").hidden = !steps.length;
$("what-on").hidden = !computing;
if (computing && steps.length) fillWhat();
else $("what-off").textContent = `Nothing can be changed on this page: ${data.live.off}.`;
fillPick();
$("legend").open = !matchMedia("(max-width: 899px)").matches;
if (!steps.some(bad)) $("trouble").setAttribute("aria-disabled", "true");
if (places.size) { $("partial").hidden = false; $("partial").textContent = `Of ${places.size.toLocaleString("en")} nodes those within two edges of the current step are drawn.`; }
if (steps.length) { show(); say(`${data.total} steps. Step backward with the right arrow; ? lists the keys.`); fromHash(); }
else { $("step-title").textContent = "No steps"; $("body").append(el("p", "", "The loss is a leaf: its gradient is 1.")); }
document.documentElement.dataset.ready = String(Math.round(performance.now()));
