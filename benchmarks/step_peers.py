"""A training step of each contender: `STEPS[name](model, threads) -> step`, a function of no
arguments -> the loss.

As a script this is the process in which one of them runs (see timing.Worker): it answers
``{"model": number, "steps": n, "seconds": s}`` with the first n losses and the seconds until the
first of them, and ``{"turn": number}`` with the seconds of a step, measured for about s seconds.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.step_models import MODELS, Model
from benchmarks.timing import timer_for, turn

Step = Callable[[], Any]
LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8
LIBRARIES = {  # the package that each contender needs
    "tape": "numba",
    "compiled": "numba",
    "torch": "torch",
    "torch fused": "torch",
    "autograd": "autograd",
    "torch.compile": "torch",
    "jax": "jax",
    "pytensor": "pytensor",
}


def prepared(model: Model, threads: int) -> tuple[Any, Any, Any, Any]:
    """Our loss, an optimiser of its parameters, and the loss's two arguments."""
    import minigrad_ae as mg

    mg.kernels.set_num_threads(threads)
    weights, x, noise = model.draw()
    params, loss = model.ours(weights)
    return loss, mg.optim.Adam(params, lr=LR), mg.tensor(x), noise


def on_tape(loss: Any, optimizer: Any, *given: Any) -> Any:
    """One step; returns its loss."""
    optimizer.zero_grad()
    value = loss(*given)
    value.backward()
    optimizer.step()
    return value


def tape(model: Model, threads: int) -> Step:
    return partial(on_tape, *prepared(model, threads))


def compiled(model: Model, threads: int) -> Step:
    """The same by a program, the optimiser in it."""
    import minigrad_ae as mg

    loss, optimizer, *given = prepared(model, threads)
    return partial(mg.compile(loss, optimizer=optimizer), *given)


def torch(model: Model, threads: int, fused: bool = False, compiled: bool = False) -> Step:
    """Eager mode, or loss and gradients by `torch.compile`; a matrix of weights is stored (out,
    in), as in torch.nn.Linear.
    """
    import torch

    torch.set_num_threads(threads)
    F = torch.nn.functional
    f = SimpleNamespace(
        linear=F.linear,
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        relu=torch.relu,
        exp=torch.exp,
        sum=torch.sum,
        bernoulli=lambda y, x: F.binary_cross_entropy_with_logits(y, x, reduction="sum"),
        half_squares=lambda y, x: 0.5 * F.mse_loss(y, x, reduction="sum"),
        argsort=lambda x: x.argsort(1),
        permute=lambda x, axes: x.permute(axes),
        table=lambda p: p.t(),
        pick=lambda x, which: x.gather(1, which[:, :, None].expand(-1, -1, x.shape[2])),
        concatenate=torch.cat,
        broadcast=lambda x, shape: x.expand(shape),
        layer_norm=lambda x, w, b: F.layer_norm(x, w.shape, w, b),
        gelu=lambda x: F.gelu(x, approximate="tanh"),
        attention=F.scaled_dot_product_attention,
        abs=torch.abs,
        unit_rows=lambda W: F.normalize(W, dim=0),  # W is stored transposed
        product=lambda x, W: x @ W.T,
        row_squares=lambda W: (W * W).sum(0),
    )
    weights, x, noise = (
        (torch.tensor(a) if isinstance(a, np.ndarray) else a) for a in model.draw()
    )
    params = [torch.tensor(np.ascontiguousarray(w.T), requires_grad=True) for w in weights]
    optimizer = torch.optim.Adam(params, lr=LR, fused=fused)

    def loss(params: Any, x: Any, noise: Any) -> Any:
        return model.theirs(f, params, x, noise)

    if compiled:
        torch.compiler.reset()  # else it goes back to eager mode after a few models
        loss = torch.compile(loss, dynamic=False)

    def step() -> Any:
        optimizer.zero_grad()
        value = loss(params, x, noise)
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def _numpy_like(xp: Any) -> SimpleNamespace:
    """The table for a library that speaks NumPy."""
    return SimpleNamespace(
        linear=lambda x, W, b: x @ W + b,
        tanh=xp.tanh,
        exp=xp.exp,
        sum=xp.sum,
        sigmoid=lambda x: 0.5 * (xp.tanh(0.5 * x) + 1),
        relu=lambda x: xp.maximum(x, 0),
        bernoulli=lambda y, x: xp.sum(xp.logaddexp(0, y) - x * y),
        half_squares=lambda y, x: 0.5 * xp.sum((y - x) ** 2),
        argsort=lambda x: xp.argsort(x, axis=1),
        permute=xp.transpose,
        table=lambda p: p,
        concatenate=xp.concatenate,
        pick=lambda x, which: x[np.arange(x.shape[0])[:, None], which],
        broadcast=xp.broadcast_to,
        layer_norm=lambda x, w, b: _normalised(xp, x) * w + b,
        attention=lambda q, k, v: _attention(xp, q, k, v),
        gelu=lambda x: 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
        abs=xp.abs,
        unit_rows=lambda W: W / xp.sqrt(xp.sum(W**2, axis=1, keepdims=True)),
        product=xp.matmul,
        row_squares=lambda W: xp.sum(W * W, axis=1),
    )


def _normalised(xp: Any, x: Any) -> Any:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)


def _attention(xp: Any, q: Any, k: Any, v: Any) -> Any:
    scores = xp.matmul(q, xp.swapaxes(k, -1, -2)) * q.shape[-1] ** -0.5
    powers = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    return xp.matmul(powers / xp.sum(powers, axis=-1, keepdims=True), v)


def autograd(model: Model, threads: int) -> Step:
    """HIPS autograd; Adam in NumPy, in place."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    f = _numpy_like(anp)
    weights, x, noise = model.draw()
    gradients = value_and_grad(lambda p: model.theirs(f, p, x, noise))
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    count = 0

    def step() -> Any:
        nonlocal count
        count += 1
        value, grads = gradients(weights)
        for p, g, (m, v) in zip(weights, grads, moments, strict=True):
            m += (1 - BETAS[0]) * (g - m)
            v += (1 - BETAS[1]) * (g * g - v)
            p -= LR / (1 - BETAS[0] ** count) * m / (np.sqrt(v / (1 - BETAS[1] ** count)) + EPS)
        return value

    return step


def jax(model: Model, threads: int) -> Step:
    """Loss, gradients and Adam in one compiled function; its buffers are given back to it."""
    import jax
    import jax.numpy as jnp

    f = _numpy_like(jnp)
    f.sigmoid, f.bernoulli = jax.nn.sigmoid, lambda y, x: jnp.sum(jax.nn.softplus(y) - x * y)
    weights, x, noise = model.draw()

    def update(params: Any, m: Any, v: Any, count: Any, x: Any, noise: Any) -> Any:
        value, grads = jax.value_and_grad(lambda p: model.theirs(f, p, x, noise))(params)
        count = count + 1
        m = [BETAS[0] * a + (1 - BETAS[0]) * g for a, g in zip(m, grads, strict=True)]
        v = [BETAS[1] * a + (1 - BETAS[1]) * g * g for a, g in zip(v, grads, strict=True)]
        rate, root = LR / (1 - BETAS[0] ** count), 1 / jnp.sqrt(1 - BETAS[1] ** count)
        params = [
            p - rate * a / (jnp.sqrt(b) * root + EPS) for p, a, b in zip(params, m, v, strict=True)
        ]
        return value, params, m, v, count

    compiled = jax.jit(update, donate_argnums=(0, 1, 2, 3))
    zeros = [np.zeros_like(w) for w in weights]
    state = [
        [jnp.array(w) for w in weights],
        [jnp.array(z) for z in zeros],
        [jnp.array(z) for z in zeros],
        jnp.float32(0),
    ]
    fixed = jnp.array(x), jnp.array(noise)

    def step() -> Any:
        value, *state[:] = compiled(*state, *fixed)
        return value.block_until_ready()

    return step


def pytensor(model: Model, threads: int) -> Step:
    """Loss, gradients and Adam in one function, compiled by Numba; weights are shared variables."""
    import pytensor
    import pytensor.tensor as pt

    f = _numpy_like(pt)
    f.sigmoid, f.relu = pt.sigmoid, lambda x: pt.maximum(x, np.float32(0))
    f.bernoulli = lambda y, x: pt.sum(pt.softplus(y) - x * y)
    f.permute = lambda x, axes: x.dimshuffle(*axes)
    f.pick = lambda x, which: x[pt.arange(x.shape[0])[:, None], which]
    weights, *given = model.draw()
    x, noise = (
        pt.TensorType("float32", shape=array.shape)(name)
        for array, name in zip(given, ("x", "noise"), strict=True)
    )
    params = [pytensor.shared(w, shape=w.shape) for w in weights]
    value = model.theirs(f, params, x, noise)
    count = pytensor.shared(np.float32(0))
    one = count + np.float32(1)
    rate = LR / (1 - np.float32(BETAS[0]) ** one)
    root = 1 / pt.sqrt(1 - np.float32(BETAS[1]) ** one)
    updates = {count: one}
    for p, g in zip(params, pt.grad(value, params), strict=True):
        zeros = np.zeros_like(p.get_value())
        m, v = (pytensor.shared(zeros.copy(), shape=zeros.shape) for _ in range(2))
        updates[m] = np.float32(BETAS[0]) * m + np.float32(1 - BETAS[0]) * g
        updates[v] = np.float32(BETAS[1]) * v + np.float32(1 - BETAS[1]) * g * g
        moved = p - rate * updates[m] / (pt.sqrt(updates[v]) * root + EPS)
        updates[p] = pt.cast(moved, "float32")
    unused = {"on_unused_input": "ignore"}  # most models have no noise
    step = pytensor.function([x, noise], value, updates=updates, mode="NUMBA", **unused)
    return lambda: step(*given)


STEPS: dict[str, Callable[[Model, int], Step]] = {
    "tape": tape,
    "compiled": compiled,
    "torch": torch,
    "torch fused": partial(torch, fused=True),
    "autograd": autograd,
    "torch.compile": partial(torch, fused=True, compiled=True),
    "jax": jax,
    "pytensor": pytensor,
}


def serve(name: str, threads: int) -> None:
    """Answer requests until the input ends."""
    turns: dict[int, Callable[[], float]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "model" in request:
            start = time.perf_counter()
            step = STEPS[name](MODELS[request["model"]], threads)
            losses = [float(step())]
            answer: Any = {"first": time.perf_counter() - start}
            answer["losses"] = losses + [float(step()) for _ in range(request["steps"] - 1)]
            turns[request["model"]] = turn(step, request["seconds"], timer_for(threads))
        else:
            answer = turns[request["turn"]]()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cold:  # nothing is found compiled by an earlier run
        os.environ |= {
            "TORCHINDUCTOR_CACHE_DIR": cold,
            "PYTENSOR_FLAGS": f"base_compiledir={cold},floatX=float32",
        }
        serve(sys.argv[1], int(sys.argv[2]))
