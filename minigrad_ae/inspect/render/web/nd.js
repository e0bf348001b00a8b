// --- arrays ---
// Arrays of float64, {shape, data} row by row, and what forwards and rules ask of NumPy, under NumPy's names.
// javascript.py writes calls of these.  A number that is no array stays a number.
const nd = (() => {
  const count = (shape) => shape.reduce((p, n) => p * n, 1);
  class Nd {
    constructor(shape, data) { this.shape = shape; this.data = data || new Float64Array(count(shape)); }
    get ndim() { return this.shape.length; }
    get size() { return this.data.length; }
  }
  const is = (x) => x instanceof Nd;
  const array = (x) => (is(x) ? x : new Nd([], Float64Array.of(Number(x))));
  const same = (a, b) => a.length === b.length && a.every((n, k) => n === b[k]);
  const strides = (shape) => shape.map((_, k) => count(shape.slice(k + 1)));
  const axesOf = (axis, ndim) => (axis === null || axis === undefined ? [...Array(ndim).keys()] : [axis].flat().map((k) => (k + ndim) % ndim));

  // Calls f(k, j) for element k of an array of `shape`; j goes along with it by `steps` per axis.
  function along(shape, steps, f) {
    const at = shape.map(() => 0), n = count(shape);
    for (let k = 0, j = 0; k < n; k++) {
      f(k, j);
      for (let d = shape.length - 1; d >= 0; d--) {
        j += steps[d];
        if (++at[d] < shape[d]) break;
        j -= steps[d] * shape[d];
        at[d] = 0;
      }
    }
  }
  function taken(x, shape, steps) {
    const out = new Nd(shape);
    along(shape, steps, (k, j) => { out.data[k] = x.data[j]; });
    return out;
  }

  // --- shapes ---
  function joint(a, b) {
    const n = Math.max(a.length, b.length), of = (s, k) => (k < n - s.length ? 1 : s[k - n + s.length]);
    return Array.from({ length: n }, (_, k) => {
      const [p, q] = [of(a, k), of(b, k)];
      if (p !== q && p !== 1 && q !== 1) throw Error(`shapes ${a} and ${b} do not broadcast`);
      return p === 1 ? q : p;
    });
  }
  function broadcast_to(x, shape) {
    x = array(x);
    if (same(x.shape, shape)) return x;
    const lead = shape.length - x.ndim, own = strides(x.shape);
    return taken(x, shape, shape.map((_, k) => (k < lead || x.shape[k - lead] === 1 ? 0 : own[k - lead])));
  }
  function reshape(x, shape) {
    x = array(x);
    const known = [shape].flat(), rest = x.size / count(known.filter((n) => n !== -1));
    return new Nd(known.map((n) => (n === -1 ? rest : n)), x.data);
  }
  function transpose(x, axes) {
    axes = axes ? axesOf(axes, x.ndim) : [...x.shape.keys()].reverse();
    const own = strides(x.shape);
    return taken(x, axes.map((k) => x.shape[k]), axes.map((k) => own[k]));
  }
  function swapaxes(x, i, j) {
    const axes = [...x.shape.keys()], [p, q] = axesOf([i, j], x.ndim);
    [axes[p], axes[q]] = [axes[q], axes[p]];
    return transpose(x, axes);
  }
  const kept = (shape, axis) => { const gone = axesOf(axis, shape.length); return shape.map((n, k) => (gone.includes(k) ? 1 : n)); };
  const inverse = (axes) => axes && axesOf(axes, [axes].flat().length).map((_, k, all) => all.indexOf(k));

  // --- element by element ---
  const unary = (f) => (x) => (is(x) ? new Nd(x.shape, x.data.map((v) => Number(f(v)))) : f(x));
  const binary = (f) => (a, b) => {
    if (!is(a) && !is(b)) return f(a, b);
    const shape = joint(array(a).shape, array(b).shape), p = broadcast_to(a, shape).data, q = broadcast_to(b, shape).data;
    return new Nd(shape, p.map((v, k) => Number(f(v, q[k]))));
  };
  function where(condition, a, b) {
    const [c, p, q] = [condition, a, b].map(array), shape = joint(c.shape, joint(p.shape, q.shape));
    const [x, y] = [p, q].map((v) => broadcast_to(v, shape).data);
    return new Nd(shape, broadcast_to(c, shape).data.map((v, k) => (v ? x[k] : y[k])));
  }

  // --- along axes ---
  function reduced(x, axis, keepdims, start, f) {
    x = array(x);
    const gone = axesOf(axis, x.ndim), small = kept(x.shape, axis), out = new Nd(small), own = strides(small);
    out.data.fill(start);
    along(x.shape, own.map((s, k) => (gone.includes(k) ? 0 : s)), (k, j) => { out.data[j] = f(out.data[j], x.data[k]); });
    return keepdims ? out : reshape(out, small.filter((_, k) => !gone.includes(k)));
  }
  const sum = (x, axis, keepdims) => reduced(x, axis, keepdims, 0, (a, b) => a + b);
  const max = (x, axis, keepdims) => reduced(x, axis, keepdims, -Infinity, Math.max);
  function matmul(a, b) {
    if (a.ndim === 1) { const y = matmul(reshape(a, [1, a.size]), b); return reshape(y, y.shape.toSpliced(-2, 1)); }
    if (b.ndim === 1) { const y = matmul(a, reshape(b, [b.size, 1])); return reshape(y, y.shape.slice(0, -1)); }
    const lead = joint(a.shape.slice(0, -2), b.shape.slice(0, -2)), [n, inner] = a.shape.slice(-2), [, m] = b.shape.slice(-2);
    const p = broadcast_to(a, [...lead, n, inner]).data, q = broadcast_to(b, [...lead, inner, m]).data, out = new Nd([...lead, n, m]);
    for (let row = 0; row < p.length / inner; row++) {
      const matrix = Math.floor(row / n) * inner * m;
      for (let k = 0; k < inner; k++) for (let j = 0, x = p[row * inner + k]; j < m; j++) out.data[row * m + j] += x * q[matrix + k * m + j];
    }
    return out;
  }

  const corner = (x, shape) => taken(x, shape, strides(x.shape));

  // --- parts; the places that an index picks from an array were counted in Python ---
  const at = (x, index) => (is(x) ? new Nd(index.shape, Float64Array.from(index.places, (j) => x.data[j])) : x.at(index));
  const some = (list, from, to) => list.slice(from ?? 0, to ?? undefined);
  // The places of the i-th of the arrays that were concatenated.
  function part(xs, i, axis) {
    const [d] = axesOf([axis], xs[0].ndim), shape = xs[0].shape.with(d, xs.reduce((n, x) => n + x.shape[d], 0)), own = strides(shape);
    const before = xs.slice(0, i).reduce((n, x) => n + x.shape[d], 0) * own[d], places = new Array(xs[i].size);
    along(xs[i].shape, own, (k, j) => { places[k] = before + j; });
    return { shape: xs[i].shape, places };
  }
  function concatenate(xs, axis = 0) {
    const [d] = axesOf([axis], xs[0].ndim), out = new Nd(xs[0].shape.with(d, xs.reduce((n, x) => n + x.shape[d], 0)));
    xs.forEach((x, i) => part(xs, i, axis).places.forEach((j, k) => { out.data[j] = x.data[k]; }));
    return out;
  }
  function index_add(x, index, shape) {
    const out = new Nd(shape);
    index.places.forEach((j, k) => { out.data[j] += x.data[k]; });
    return out;
  }
  // What the engine does after a rule: sums over the axes along which an input was stretched.
  function fit(x, shape) {
    x = array(x);
    const lead = x.ndim - shape.length, axes = [...x.shape.keys()].filter((k) => k < lead || (shape[k - lead] === 1 && x.shape[k] > 1));
    return broadcast_to(axes.length ? reshape(sum(x, axes, true), shape) : x, shape);
  }

  const fromMath = "exp log log1p expm1 log2 log10 sqrt cbrt sin cos tan sinh cosh tanh abs sign floor".split(" ").map((name) => [name, unary(Math[name])]);
  return {
    Nd, is, array, fit, joint, kept, inverse, broadcast_to, reshape, transpose, swapaxes, where, sum, max, matmul, at, some, part, concatenate, corner, index_add,
    ...Object.fromEntries(fromMath), arcsin: unary(Math.asin), arccos: unary(Math.acos), arctan: unary(Math.atan),
    exp2: unary((x) => 2 ** x), neg: unary((x) => -x), real: (x) => x, isnan: unary(Number.isNaN), isfinite: unary(Number.isFinite),
    isinf: unary((x) => Math.abs(x) === Infinity), ones_like: unary(() => 1), zeros_like: unary(() => 0),
    add: binary((a, b) => a + b), sub: binary((a, b) => a - b), mul: binary((a, b) => a * b), div: binary((a, b) => a / b),
    power: binary((a, b) => (a === 1 ? 1 : a ** b)), quotient: binary((a, b) => Math.floor(a / b)),
    remainder: binary((a, b) => a - b * Math.floor(a / b)), maximum: binary(Math.max), hypot: binary(Math.hypot),
    eq: binary((a, b) => a === b), ne: binary((a, b) => a !== b), lt: binary((a, b) => a < b), le: binary((a, b) => a <= b),
    gt: binary((a, b) => a > b), ge: binary((a, b) => a >= b), and: binary((a, b) => a && b), or: binary((a, b) => a || b),
  };
})();
