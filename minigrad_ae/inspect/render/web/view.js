// --- looking at the graph: fit, zoom, drag ---
// A drag changes one transform and nothing else; a zoom also changes the size of the picture, which stays sharp.
const graph = $("graph"), view = { x: 0, y: 0, scale: 1, w: 1, h: 1, chosen: false };
const fingers = new Map(); // pointers that are down: id -> [x, y]
const pane = { w: 0, h: 0 }; // its size, kept: to ask for it in the middle of a change would lay out the page again
const measure = () => { [pane.w, pane.h] = [graph.clientWidth, graph.clientHeight]; };
new ResizeObserver(measure).observe(graph);
let dragged = false;
const picture = () => graph.firstElementChild;
const within = (offset, size, room) => Math.min(Math.max(offset, Math.min(0, room - size)), Math.max(0, room - size));
function place(x, y) {
  [view.x, view.y] = [x, y];
  picture().style.transform = `translate(${x}px, ${y}px)`;
}
// Keeps the point (px, py) of the pane where it is.
function zoom(scale, px = pane.w / 2, py = pane.h / 2) {
  const to = Math.min(3, Math.max(0.05, scale)), ratio = to / view.scale;
  view.scale = to;
  picture().setAttribute("width", view.w * to);
  picture().setAttribute("height", view.h * to);
  place(px - (px - view.x) * ratio, py - (py - view.y) * ratio);
}
const zoomed = (ratio, px, py) => { view.chosen = true; zoom(view.scale * ratio, px, py); };
const centred = () => place(Math.max(0, (pane.w - view.w * view.scale) / 2), 0);
function fit() {
  view.chosen = true;
  zoom(Math.min(1, pane.w / view.w, pane.h / view.h));
  place((pane.w - view.w * view.scale) / 2, Math.max(0, (pane.h - view.h * view.scale) / 2));
}
// A new picture: as wide as the pane, if that makes it at most a quarter smaller; or as the reader has zoomed.
function settle() {
  if (!pane.w) measure();
  [view.w, view.h] = picture().getAttribute("viewBox").split(" ").slice(2).map(Number);
  zoom(view.chosen ? view.scale : Math.max(3 / 4, Math.min(1, pane.w / view.w)));
  centred();
}
// Moves a box into the pane, if it is not there.
function reveal(g) {
  if (!g) return;
  const { e, f } = g.transform.baseVal[0].matrix, s = view.scale, left = e * s, top = f * s, { w, h } = pane, room = Math.min(90, h / 3);
  // above and below there is room for what comes before and after, if something does
  const above = Math.min(40, h / 6, top), below = Math.min(room, view.h * s - top - SIZE[1] * s);
  const x = left + view.x >= 0 && left + SIZE[0] * s + view.x <= w ? view.x : within(w / 2 - left - (SIZE[0] / 2) * s, view.w * s, w);
  const y = top + view.y >= above && top + SIZE[1] * s + view.y <= h - below ? view.y : within(h / 3 - top, view.h * s, h);
  if (x !== view.x || y !== view.y) place(x, y);
}
const focus = (g) => { g.focus({ preventScroll: true }); reveal(g); };
const spread = () => { const [[a, b], [c, d]] = [...fingers.values()]; return [Math.hypot(a - c, b - d), (a + c) / 2, (b + d) / 2]; };
graph.addEventListener("pointerdown", (e) => {
  if (e.button > 0) return;
  if (!fingers.size) dragged = false;
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
});
graph.addEventListener("pointermove", (e) => {
  const from = fingers.get(e.pointerId);
  if (!from) return;
  const [dx, dy] = [e.clientX - from[0], e.clientY - from[1]];
  if (!dragged && Math.hypot(dx, dy) < 4) return;
  if (!dragged) graph.setPointerCapture(e.pointerId); // now it is no click
  dragged = true;
  if (fingers.size === 1) place(view.x + dx, view.y + dy);
  else {
    const [was, x, y] = spread(), { left, top } = graph.getBoundingClientRect();
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    const [is] = spread();
    zoomed(is / was, x - left, y - top);
  }
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (e) => fingers.delete(e.pointerId));
graph.addEventListener("wheel", (e) => {
  e.preventDefault();
  const { left, top } = graph.getBoundingClientRect();
  zoomed(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0015)), e.clientX - left, e.clientY - top);
}, { passive: false });
$("zoom-in").addEventListener("click", () => zoomed(1.25));
$("zoom-out").addEventListener("click", () => zoomed(0.8));
$("zoom-fit").addEventListener("click", fit);
const panned = { ArrowRight: [-60, 0], ArrowLeft: [60, 0], ArrowDown: [0, -60], ArrowUp: [0, 60] };
