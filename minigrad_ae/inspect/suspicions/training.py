"""The loop: zero_grad, backward, step; train and eval; and how far a step goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.origin import source_line
from .question import Answers, suspicion
from .scene import Scene
from .source import PACKAGE, Line, place
from .watching import Life, has_mask, ratio

FAR = 20.0  # |update| / |weights| of a step; training that goes well has about 1e-3
STILL = 2  # passes after which a parameter that never moved is told


@suspicion(
    "gradient accumulated over steps",
    "clear it before each backward(): optimizer.zero_grad(), or w.zero_grad()",
)
def accumulated(scene: Scene) -> Answers:
    """`.grad` is the sum of passes between which the parameters moved."""
    for leaf, life in lives(scene):
        if life.spoilt > 1:  # once: another training began, which leaves this parameter alone
            reason = f"{scene.name(leaf)}.grad is the sum of {life.summed} backward passes"
            yield f"{reason}, and the parameter moved in between", scene.calling("backward")
            return


@suspicion(
    "a parameter that never moves",
    "is it in the optimiser, is step() called after backward(), and is the gradient not 0?",
)
def unchanged(scene: Scene) -> Answers:
    """Gradients came, pass after pass, and the parameter stayed as it was."""
    known = {id(p) for p in scene.trainable}
    others = any(life.moves for _, life in lives(scene))
    for leaf, life in lives(scene):
        still = life.passes > STILL and life.moves == 0 and is_trained(leaf, known)
        still = still and not at_rest(scene, leaf)
        if still and (others or (life.thrown and id(leaf) in known)):
            reason = f"{scene.named(leaf)} had the same numbers in {life.passes} backward passes"
            line = scene.at(leaf) if others else scene.calling("backward")
            yield reason, line


@suspicion(
    "a parameter that the optimiser does not know",
    "give the optimiser all of them, after the model is complete: model.parameters(); or freeze it "
    "by requires_grad = False",
)
def unknown(scene: Scene) -> Answers:
    """A parameter of the loss, or of the model, that no step will move."""
    held = {id(p) for p in getattr(scene.optimizer, "params", ())}
    if not held:
        return
    plain = any(type(p).__name__ != "Parameter" for p in scene.optimizer.params)
    lost = [x for x in scene.leaves if id(x) not in held]
    moved = {id(leaf) for leaf, life in lives(scene) if life.moves}
    lost = [x for x in lost if plain or type(x).__name__ == "Parameter"]
    lost = [x for x in lost if id(x) not in moved]  # something else trains it
    if lost:
        names = ", ".join(scene.named(x) for x in lost[:3])
        more = f" and {len(lost) - 3} more" if lost[3:] else ""
        kind = type(scene.optimizer).__name__
        line = scene.calling(kind) or scene.at(lost[0])
        yield f"{names}{more}, of the {len(held)} that {kind} holds", line


@suspicion(
    "steps longer than the weights",
    "lower the learning rate, until a step changes the weights by about a thousandth of their size",
)
def far_steps(scene: Scene) -> Answers:
    """An update many times as large as the weights themselves."""
    far: list[tuple[float, str, Value]] = []
    for leaf, life in lives(scene):
        if leaf._data.ndim > 1 and life.ratios:
            step, most = max(life.ratios, key=lambda pair: np.nan_to_num(pair[1], nan=-1.0))
            far.append((most, f"the step before backward pass {step} changed", leaf))
    for leaf, most in coming(scene):
        far.append((most, "the next step will change", leaf))
    far = [found for found in far if found[0] > FAR]
    if far:
        most, which, leaf = max(far, key=lambda found: found[0])
        line = scene.calling("step", "fit") or changed_at(leaf) or scene.at(leaf)
        yield f"{which} {scene.named(leaf)} by {most:,.4g} times its size", line


def coming(scene: Scene) -> Iterator[tuple[Value, float]]:
    """(leaf, |update| / |weights|) of the step of plain gradient descent that comes next."""
    optimizer = scene.optimizer
    if type(optimizer).__name__ != "SGD" or not isinstance(optimizer.lr, float | int):
        return
    for p in optimizer.params:
        g = scene.gradients.get(id(p))
        if g is not None and p._data.ndim > 1:
            yield p, ratio(p._data - optimizer.lr * g, p._data)


@suspicion(
    "train or eval forgotten",
    "model.train() before the steps, model.eval() before anything is measured",
)
def mode_forgotten(scene: Scene) -> Answers:
    """Dropout that does not draw while the model is trained, or draws while it is measured."""
    dropping = [m for m in modules(scene.model) if type(m).__name__ == "Dropout" and m.rate > 0]
    measured = scene.loss.op is None and not scene.loss.requires_grad
    if measured and any(m.training for m in dropping):
        line = source_line(scene.loss) or scene.calling("loss")
        yield (
            "a value was measured without gradient, and dropout drew: model.training is True",
            line,
        )
    elif dropping and scene.history and scene.history.masked:
        times, origin = len(scene.history.masked), scene.history.masked[-1]
        yield f"dropout drew under no_grad, {times} times: model.training was True", place(origin)
    trained = scene.optimizer is not None or (scene.history and scene.history.moves > 1)
    drew = any(v.op.name == "mul" and has_mask(v.inputs, v.arrays) for v in scene.made)
    if dropping and scene.made and trained and not drew and not any(m.training for m in dropping):
        rate = dropping[0].rate
        reason = (
            f"the loss has no dropout, although a layer drops {rate:.0%}: model.training is False"
        )
        yield reason, scene.calling("eval") or scene.at(scene.loss)


# --- small questions ---


def lives(scene: Scene) -> Iterator[tuple[Value, Life]]:
    """(leaf, what was seen of it) of those leaves that were watched."""
    for leaf in scene.leaves:
        life = scene.history.life(leaf) if scene.history else None
        if life is not None:
            yield leaf, life


def at_rest(scene: Scene, leaf: Value) -> bool:
    """Whether its gradient is known, and nothing beside the others': the bias of centred data."""
    sizes = {k: float(np.max(np.abs(g), initial=0.0)) for k, g in scene.gradients.items()}
    return sizes.get(id(leaf), np.inf) <= 1e-8 * max(sizes.values(), default=0.0)


def is_trained(leaf: Value, known: set[int]) -> bool:
    """Whether a leaf is meant to be trained: one that is held, or a parameter; where nothing is
    known of the program, any.
    """
    return id(leaf) in known or type(leaf).__name__ == "Parameter" or not known


def modules(model: Any) -> list[Any]:
    """A model and all its parts; nothing of anything else."""
    return list(model.modules()) if callable(getattr(model, "modules", None)) else []


def changed_at(leaf: Value) -> Line | None:
    """The user's line that gave a leaf new data."""
    found = source_line(leaf)
    return None if found is None or found[0].startswith(PACKAGE) else found
