"""Layers with activation, activations, softmax, layer norm, Adam against NumPy and, where
installed, torch (one thread).

    taskset -c 1 python benchmarks/bench_kernels.py --json kernels.json

Contenders take turns in one process (timing.py); results are checked first; both sides allocate
what they return; torch pays for its graph, as its users do.  A ratio is the median over rounds of
(their time / our time).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timing import clock, interleave


def race(contenders, rounds):
    """``{name: {us, ratio}}``; ratios are those of the others to the first."""
    runs = {name: (lambda run=run: clock(run)) for name, run in contenders.items()}
    found = interleave(runs, rounds)
    ours, *others = contenders
    result = {name: {"us": found.median(name) * 1e6} for name in contenders}
    for name in others:
        result[name]["ratio"] = found.ratio(name, ours)
    return result


def fused_linear(np, kernels, torch, draw, rows, inputs, outputs, activation):
    """{contender: function}: y = f(x W + b) and the gradients of x, W and b, for `rows` rows."""
    x, W, b, g = (
        draw(rows, inputs),
        draw(inputs, outputs) / inputs**0.5,
        draw(outputs),
        draw(rows, outputs),
    )

    def ours():
        y, gradients = np.empty_like(g), [np.empty_like(a) for a in (x, W, b)]
        kernels.fused.linear(x, W, b, activation, y)
        kernels.fused.linear_backward(g, y, x, W, activation, *gradients)
        return y, *gradients

    def numpy():
        z = x @ W + b
        y = np.tanh(z) if activation == "tanh" else np.maximum(z, 0)
        dz = g * (1 - y * y) if activation == "tanh" else np.where(y > 0, g, 0)
        return y, dz @ W.T, x.T @ dz, dz.sum(axis=0)

    for mine, theirs in zip(ours(), numpy(), strict=True):
        assert np.allclose(mine, theirs, rtol=1e-4, atol=1e-4 * float(np.abs(theirs).max()))
    contenders = {"ours": ours, "numpy": numpy}
    if torch:
        leaves = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
        upstream, function = torch.tensor(g), getattr(torch, activation)

        def eager():
            for leaf in leaves:
                leaf.grad = None
            function(torch.addmm(leaves[2], leaves[0], leaves[1])).backward(upstream)

        contenders["torch"] = eager
    return contenders


def cases(np, kernels, torch, dtype):
    """(label, {contender: function}) for each row of the table."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def both(forward, backward, saved_is_input, x, g, torch_forward):
        def run(f, b):
            y = f(x)
            return b(g, x if saved_is_input else y)

        found, expected = run(forward, backward), run(forward.definition, backward.definition)
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-5)
        rows = {
            "ours": lambda: run(forward, backward),
            "numpy": lambda: run(forward.definition, backward.definition),
        }
        if torch:
            leaf, upstream = torch.tensor(x, requires_grad=True), torch.tensor(g)

            def eager():
                leaf.grad = None
                torch_forward(leaf).backward(upstream)

            rows["torch"] = eager
        return rows

    for rows, inputs, outputs in ((64, 64, 32), (128, 64, 128), (100, 784, 512)):
        for activation in ("tanh", "relu"):
            contenders = fused_linear(np, kernels, torch, draw, rows, inputs, outputs, activation)
            yield f"linear {activation} f+b {rows}x{inputs}->{outputs}", contenders
    f = torch.nn.functional if torch else None
    for name, uses_input in {
        "tanh": False,
        "sigmoid": False,
        "relu": False,
        "softplus": True,
        "gelu": True,
    }.items():
        pair = getattr(kernels, name), getattr(kernels, name + "_backward")
        of_torch = (getattr(torch, name, None) or getattr(f, name)) if torch else None
        yield f"{name} f+b 262144", both(*pair, uses_input, draw(262144), draw(262144), of_torch)
    for shape in ((4096, 17), (4096, 49), (256, 64)):
        of_torch = (lambda t: torch.softmax(t, -1)) if torch else None
        yield (
            f"softmax f+b {shape}",
            both(
                kernels.softmax,
                kernels.softmax_backward,
                False,
                draw(*shape),
                draw(*shape),
                of_torch,
            ),
        )
    for shape in ((2048, 32), (2048, 64)):
        x, g, weight, bias = draw(*shape), draw(*shape), draw(shape[1]), draw(shape[1])

        def norm(forward, backward, x=x, g=g, weight=weight, bias=bias):
            return backward(g, *forward(x, weight, bias)[1:], weight)

        ours = kernels.layer_norm, kernels.layer_norm_backward
        theirs = tuple(k.definition for k in ours)
        assert all(
            np.allclose(a, b, rtol=1e-3, atol=1e-3)
            for a, b in zip(norm(*ours), norm(*theirs), strict=True)
        )
        rows = {"ours": lambda n=norm, k=ours: n(*k), "numpy": lambda n=norm, k=theirs: n(*k)}
        if torch:
            leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]

            upstream = torch.tensor(g)

            def eager(leaves=leaves, upstream=upstream, columns=shape[1]):
                for leaf in leaves:
                    leaf.grad = None
                f.layer_norm(leaves[0], (columns,), leaves[1], leaves[2]).backward(upstream)

            rows["torch"] = eager
        yield f"layer norm f+b {shape}", rows
    for size in (17_000, 653_000):
        p, g, m, v = draw(size), draw(size), np.zeros(size, dtype), np.zeros(size, dtype)
        step = {"step": 3}
        copies = [a.copy() for a in (p, g, m, v)]
        kernels.adam_step(p, g, m, v, **step, lr=1e-3)
        kernels.adam_step.definition(*copies, **step, lr=1e-3)
        assert np.allclose(p, copies[0], rtol=1e-5, atol=1e-6)
        rows = {
            "ours": lambda a=(p, g, m, v), s=step: kernels.adam_step(*a, **s, lr=1e-3),
            "numpy": lambda a=copies, s=step: kernels.adam_step.definition(*a, **s, lr=1e-3),
        }
        if torch:
            leaf = torch.tensor(p, requires_grad=True)
            leaf.grad = torch.tensor(g)
            rows["torch fused"] = torch.optim.Adam([leaf], fused=True).step
        yield f"Adam {size}", rows


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=61)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    options = parser.parse_args(argv)
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    import numpy as np

    import minigrad_ae.kernels as kernels

    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        torch = None
    kernels.set_num_threads(1)
    rows = []
    for label, contenders in cases(np, kernels, torch, np.dtype(options.dtype).type):
        for run in contenders.values():
            run()
        result = race(contenders, options.rounds)
        rows.append({"kernel": label, "dtype": options.dtype} | result)
        others = ", ".join(f"{n} x{r['ratio']:.2f}" for n, r in result.items() if "ratio" in r)
        print(f"{label:30s} {result['ours']['us']:8.1f} us   {others}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
