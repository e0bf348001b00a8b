"""Every model of the chapter, traced: replay by plain NumPy, stepper, sums and emitted program, bit
for bit.

A model that is added to `mg.models` joins by itself if it is built as ``Model(n_features, n_latent,
rng=...)``; otherwise add how to build it to BUILD in zoo.py.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import numpy as np
import pytest
from helpers import same
from zoo import MODELS, model_and_loss

import minigrad_ae as mg
from minigrad_ae.autodiff import engine
from minigrad_ae.inspect import backward_steps, trace
from minigrad_ae.inspect.render.html_page import page
from minigrad_ae.program import emit_numpy
from minigrad_ae.program.writer import identifier


def numpy_kernels():
    """The definitions as kernels, where there are others."""
    kernels = getattr(mg, "kernels", None)
    return (
        kernels.use("numpy") if kernels is not None and hasattr(kernels, "use") else nullcontext()
    )


@pytest.fixture(params=MODELS)
def built(request):
    with numpy_kernels():
        yield request.param


def test_there_are_models():
    assert "LinearAutoencoder" in MODELS


def replayed(loss):
    """The gradients of the leaves by the rules of the trace alone: compiled from their text, run on
    arrays by NumPy.
    """
    grads = {loss: np.ones(loss.shape, loss.dtype)}
    for value in reversed(engine.topological(loss)):
        if value.op is None:
            continue
        g = grads.pop(value)
        for i, x in value.edges:
            argument, text = list(value.op.rules.items())[0 if value.op.variadic else i]
            rule = value.op.compile(argument, text)
            extra = {"i": i} if value.op.variadic else {}
            raw = np.asarray(rule(g, value.data, *value.arrays, **value.params, **extra))
            lead = raw.ndim - x.ndim
            axes = (
                *range(lead),
                *(k + lead for k, n in enumerate(x.shape) if n == 1 != raw.shape[k + lead]),
            )
            sent = raw.sum(axis=axes).reshape(x.shape) if axes else raw
            grads[x] = sent if x not in grads else np.asarray(grads[x] + sent)
    return grads


def test_replay_by_numpy(built):
    (model, loss), (_, again) = model_and_loss(built), model_and_loss(built)
    t = trace(loss)
    assert t.ok and not t.truncated, t.text()
    grads = replayed(again)
    leaves = [v for v in engine.topological(again) if v.op is None]
    traced = [v for v in engine.topological(loss) if v.op is None]
    assert leaves and all(same(grads[a], b.grad) for a, b in zip(leaves, traced, strict=True))
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_stepper_stopped_anywhere_and_gone_on_gives_the_same(built):
    _, loss = model_and_loss(built)
    loss.backward()
    expected = [v.grad for v in engine.topological(loss) if v.op is None]
    total = len(list(backward_steps(model_and_loss(built)[1], numeric=False)))
    for stop in {0, 1, total // 2, total - 1, total}:
        _, again = model_and_loss(built)
        steps = backward_steps(again, numeric=False)
        list(itertools.islice(steps, stop))
        list(steps)
        leaves = [v for v in engine.topological(again) if v.op is None]
        assert all(same(v.grad, g) for v, g in zip(leaves, expected, strict=True))


def test_contributions_add_up(built):
    t = trace(model_and_loss(built)[1], numeric=False)
    total = {}
    for c in (c for s in t.steps for c in s.contributions):
        total[c.node] = c.added if c.node not in total else total[c.node] + c.added
        assert same(total[c.node], c.after)


def test_the_program_gives_the_same_bits(built):
    model, loss = model_and_loss(built)
    source = emit_numpy(loss, scope={"model": model, "loss": loss})
    space: dict[str, object] = {}
    exec(compile(source, "emitted.py", "exec"), space)
    loss.backward()
    assert same(space["loss"], loss.data)
    for name, p in ((name, p) for name, p in model.named_parameters() if p.requires_grad):
        assert same(space["grad_" + identifier(p.name or f"model.{name}")], p.grad), name


def test_why_has_nothing_to_say_of_a_fresh_model(built):
    model, loss = model_and_loss(built)
    loss.backward()
    told = {name: mg.why(p, loss) for name, p in model.named_parameters() if np.any(p.grad)}
    said = {name: answer for name, answer in told.items() if answer}
    # 0 in exact arithmetic
    shifts = {n: a for n, a in said.items() if "shifts all keys of attention alike" in a}
    assert (
        told and said == shifts and all("key" in name and name.endswith("bias") for name in shifts)
    ), said


def test_every_face_takes_it(built, tmp_path):
    t = trace(model_and_loss(built)[1])
    t.png(tmp_path / "t.png")
    t.json(tmp_path / "t.json")
    assert (
        t.text() in t.text() and len(page(t)) < 5_000_000 and all(t.text(step=s.k) for s in t.steps)
    )
