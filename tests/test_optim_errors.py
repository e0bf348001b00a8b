"""Optimisers, schedule and clipping: every mistake is answered in three lines, and nothing has
changed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import message_of, parameter

import minigrad_ae as mg
from minigrad_ae import nn
from minigrad_ae.errors import DataError, DtypeError, GradientError, ShapeError
from minigrad_ae.optim import LBFGS, SGD, Adam, AdamW, clip_grad_norm, cosine_schedule

P = nn.Parameter([1.0, 2.0], name="w")
MISTAKES = [
    (
        DataError,
        lambda: SGD([P], lr=-0.1),
        """
SGD: lr must be >= 0 and finite
  got -0.1
  fix: pass a learning rate such as 1e-3""",
    ),
    (
        DataError,
        lambda: Adam([P], lr=math.nan),
        """
Adam: lr must be >= 0 and finite
  got nan
  fix: pass a learning rate such as 1e-3""",
    ),
    (
        DataError,
        lambda: setattr(Adam([P]), "lr", math.inf),
        """
Adam: lr must be >= 0 and finite
  got inf
  fix: pass a learning rate such as 1e-3""",
    ),
    (
        DtypeError,
        lambda: SGD([P], lr="fast"),
        """
SGD: lr must be a real number
  got 'fast'
  fix: pass a learning rate such as 1e-3""",
    ),
    (
        DataError,
        lambda: SGD([P], lr=1, momentum=1.0),
        """
SGD: momentum must lie in [0, 1)
  got 1.0
  fix: pass 0 for none, or e.g. 0.9""",
    ),
    (
        DataError,
        lambda: SGD([P], lr=1, nesterov=True),
        """
SGD: nesterov needs a momentum
  got momentum=0
  fix: pass momentum=0.9, or nesterov=False""",
    ),
    (
        DataError,
        lambda: AdamW([P], betas=(0.9, 1.0)),
        """
AdamW: betas[1] must lie in [0, 1)
  got 1.0
  fix: pass betas=(0.9, 0.999) or similar""",
    ),
    (
        DtypeError,
        lambda: Adam([P], betas=0.9),
        """
Adam: betas must be two numbers
  got 0.9
  fix: pass betas=(0.9, 0.999) or similar""",
    ),
    (
        DataError,
        lambda: Adam([P], eps=-1),
        """
Adam: eps must be >= 0 and finite
  got -1
  fix: pass a small number, such as 1e-8""",
    ),
    (
        DataError,
        lambda: AdamW([P], weight_decay=-1),
        """
AdamW: weight_decay must be >= 0 and finite
  got -1
  fix: pass 0 for none, or e.g. 0.01""",
    ),
    (
        DataError,
        lambda: Adam([]),
        """
Adam: no parameters to train
  got an empty list
  fix: pass model.parameters()""",
    ),
    (
        DtypeError,
        lambda: Adam(P),
        """
Adam takes a list of parameters
  got one Parameter
  fix: pass model.parameters(), or [tensor]""",
    ),
    (
        DtypeError,
        lambda: Adam([P, np.ones(2)]),
        """
Adam takes tensors
  number 1 is a ndarray
  fix: pass model.parameters()""",
    ),
    (
        GradientError,
        lambda: SGD([mg.tensor([1.0], name="x")], lr=1),
        """
SGD: no parameter requires a gradient
  1 parameter(s), the first is parameter 0 'x' (1,)
  fix: make them with nn.Parameter, or with requires_grad=True""",
    ),
    (
        GradientError,
        lambda: SGD([parameter([1.0])], lr=1).step(),
        """
SGD: no parameter has a gradient
  1 parameter(s), every .grad is None
  fix: call loss.backward() first""",
    ),
    (
        ShapeError,
        lambda: SGD([parameter([1.0], [[1.0]])], lr=1).step(),
        """
a gradient must have the shape of the tensor that it belongs to
  got (1, 1), expected (1,), for an unnamed leaf
  fix: assign an array of the same shape, or None""",
    ),
    (
        DataError,
        lambda: cosine_schedule(0.1, steps=5, warmup=5),
        """
cosine_schedule: the warm-up must be shorter than the whole
  got warmup=5, steps=5
  fix: pass the number of all steps, warm-up included""",
    ),
    (
        DataError,
        lambda: cosine_schedule(0.1, steps=5)(-1),
        """
cosine_schedule: steps count from 0
  got -1
  fix: pass the number of the step""",
    ),
    (
        DataError,
        lambda: clip_grad_norm([P], 0.0),
        """
clip_grad_norm: max_norm must be > 0 and finite
  got 0.0
  fix: pass a positive length, such as 1.0""",
    ),
    (
        DataError,
        lambda: LBFGS([P], lr=0),
        """
LBFGS: lr must be > 0 and finite
  got 0
  fix: pass lr=1""",
    ),
    (
        DataError,
        lambda: LBFGS([P], history=0),
        """
LBFGS: history must be a whole number, at least 1
  got 0
  fix: e.g. history=10, max_iter=100""",
    ),
    (
        DataError,
        lambda: LBFGS([P], c1=0.5, c2=0.4),
        """
LBFGS: c1 must lie in (0, 0.5)
  got 0.5
  fix: pass c1=1e-4""",
    ),
    (
        DataError,
        lambda: LBFGS([P], c1=0.4, c2=0.3),
        """
LBFGS: c2 must lie in (0.4, 1)
  got 0.3
  fix: pass c2=0.9""",
    ),
    (
        DataError,
        lambda: LBFGS([P], gradient_tolerance=-1e-9),
        """
LBFGS: gradient_tolerance must be >= 0 and finite
  got -1e-09
  fix: pass 0, to go down to the rounding level""",
    ),
    (
        GradientError,
        lambda: LBFGS([P]).step(lambda: 1.0),
        """
LBFGS: the closure left no gradient
  every .grad is None after it
  fix: call loss.backward() in the closure""",
    ),
    (
        DtypeError,
        lambda: LBFGS([P]).step(lambda: (P * P).sum().backward()),
        """
LBFGS: the closure must return the loss
  it returned NoneType
  fix: end it with: return loss""",
    ),
    (
        GradientError,
        lambda: LBFGS([P]).step(lambda: (P.sum().backward(), math.inf)[1]),
        """
LBFGS: the loss is not finite where it starts
  loss inf
  fix: start from other parameters, or look for a log or a division near 0""",
    ),
    (
        DataError,
        lambda: LBFGS([P]).load_state_dict(
            {"lr": 1.0, "s": np.ones((2, 3)), "y": np.ones((1, 2)), "more": 1}
        ),
        """
LBFGS: the state does not fit, nothing was loaded
  missing 'evaluations'; missing 'iterations'; missing 'largest'; unexpected 'more'; \
wrong shape of 's': got (2, 3), expected (pairs, 2); \
wrong shape of 'y': got (1, 2), expected (pairs, 2)
  fix: load the state of the same optimiser, made with the same \
parameters in the same order""",
    ),
]


@pytest.mark.parametrize(("kind", "call", "text"), MISTAKES)
def test_a_mistake_is_answered_in_three_lines(kind, call, text):
    assert message_of(kind, call) == text.strip()


@pytest.mark.parametrize("maker", [SGD, Adam, AdamW])
def test_a_gradient_that_is_not_finite_is_refused_before_anything_changes(maker):
    p, q = parameter([1.0, 2.0], [1.0, 1.0]), parameter([3.0, 4.0, 5.0], [np.nan, 1.0, np.inf])
    optimizer = maker([p, q], lr=0.1)
    text = message_of(GradientError, optimizer.step)
    assert text.split(": ", 1)[1] == (
        "gradients are NaN or infinite, no parameter was changed\n  parameter 1 (3,): 2 of 3\n"
        "  fix: look for a log or a division near 0, or lower the learning rate"
    )
    assert p.data.tolist() == [1.0, 2.0] and optimizer.state == [{}, {}]


def test_a_state_of_another_optimizer_is_refused_with_every_fault_named():
    p, q = parameter([1.0, 2.0]), parameter([3.0])
    optimizer = Adam([p, q], lr=0.5)
    state = {"0.m": np.ones(2), "0.v": np.ones(3), "1.velocity": np.ones(1), "2.m": np.ones(1)}
    assert message_of(DataError, optimizer.load_state_dict, state) == (
        "Adam: the state does not fit, nothing was loaded\n"
        "  missing 'lr'; unexpected '1.velocity'; unexpected '2.m'; "
        "wrong shape of '0.v': got (3,), expected (2,); missing '0.t'; missing '1.m'; "
        "missing '1.v'; missing '1.t'\n"
        "  fix: load the state of the same optimiser, made with the same parameters in the same "
        "order"
    )
    assert optimizer.state == [{}, {}] and optimizer.lr == 0.5


@pytest.mark.parametrize("make", [lambda p: Adam(p, lr=0.1), LBFGS])
def test_a_complex_state_is_refused_and_not_cut_to_its_real_part(make):
    p = parameter([1.0, 2.0], [3.0, 4.0])
    optimizer = make([p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    optimizer.step(*([closure] if isinstance(optimizer, LBFGS) else []))
    state = optimizer.state_dict()
    bent = {k: v * 1j if getattr(v, "ndim", 0) else v for k, v in state.items()}
    with pytest.raises(DtypeError, match="cannot be complex"):
        optimizer.load_state_dict(bent)
