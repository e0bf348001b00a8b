"""Every size, rate, seed, dtype, name and flag that a public class, function or method takes: a
wrong one is refused in three lines, and nothing passes silently.

The parameters are read from the signatures.  A new parameter has to be put into `KINDS`, and a new
function that has one to be checked into `CALLS`: until then the tests fail, and say so.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from argument_calls import CALLS, PARTS

from minigrad_ae import models
from minigrad_ae.errors import MinigradError

HERE = "tests/test_arguments.py"
NO_NUMBERS: list[Any] = [True, "2", None, [1.0], object()]
WRONG: dict[str, list[Any]] = {
    "size": [*NO_NUMBERS, 2.5, 2.0, -1, 0, math.nan, math.inf],
    "count": [*NO_NUMBERS, 2.5, 2.0, -1, math.nan, math.inf],  # 0 is allowed
    "positive": [*NO_NUMBERS, -1, 0, math.nan, math.inf, 10**400],
    "rate": [*NO_NUMBERS, -1, math.nan, math.inf, 10**400],  # 0 is allowed
    "share": [*NO_NUMBERS, 2.5, -1, math.nan, math.inf],  # [0, 1)
    "number": [*NO_NUMBERS, math.nan, math.inf],
    "rates": [True, "2", None, -1, math.nan, math.inf],  # one, or one for each feature
    "pair": [*NO_NUMBERS, 2.5, -1, 0, (True, 0.9), ("2", 0.9), (0.9, math.nan), (0.9, 0.9, 0.9)],
    "factors": [True, "2", 2.5, -1, 0, math.nan],
    "flag": ["2", 2.5, None, -1, 0, 1, math.nan, math.inf],
    "name": [True, "no such name", 2.5, -1, 0, math.nan, [], {}],
    "flag or name": ["2", 2.5, None, -1, 0, 1, math.nan, [], {}],
    "dtype": [True, "2", 2.5, None, -1, 0, math.nan, int, complex, np.float16, "no such name"],
    "generator": [True, "2", 2.5, None, -1, 0, math.nan, 7],
    "sizes": [True, "2", 2.5, None, -1, 0, math.nan, (True, 8), ("2", 8), (2.5, 8), (-1, 8)],
}
OPTIONAL = {f"optional {kind}": kind for kind in WRONG}  # the same, but None is allowed
FREE = "free"  # data, models, functions and paths, which have tests of their own

KINDS: dict[str, str] = {}
for kind, parameters in {
    "size": "n_features n_latent n_hidden n_samples epochs batch_size in_features out_features "
    "features width heads patch decoder_width decoder_heads max_iter history draws n n_patches "
    "size steps min_rows max_evaluations halvings passes",
    "optional size": "n_classes",
    "count": "depth decoder_depth warmup done",
    "positive": "sigma2 mlp_ratio max_norm base",
    "rate": "lam l2 beta eps lr weight_decay final_lr tolerance gradient_tolerance std "
    "loss_tolerance eta",
    "share": "drop dropout rate momentum mask_ratio ratio c1 c2 layer_decay",
    "number": "turns baseline decay",
    "rates": "sigma",
    "pair": "betas",
    "optional factors": "lr_factors",
    "flag": "bias tied learn_sigma learn_sigma2 class_token norm_pix nesterov matrices_only "
    "drop_last progress paste pixels mode strict",
    "name": "activation constraint likelihood method positions readout approximate split which",
    "dtype": "dtype",
    "generator": "rng",
    "optional generator": "dropout_rng noise",
    "sizes": "hidden image_shape shape",
    FREE: "X x y z model params optimizer schedule callbacks data autoencoder init layers args "
    "kwargs closure image patches path root name mask mu log_var f others state visible error "
    "epoch branch mean p",
}.items():
    KINDS |= dict.fromkeys(parameters.split(), kind)
SPECIAL = {  # where a name means something else, or more is allowed
    "train.fit.history": FREE,
    "train.fit.each_step": FREE,
    "train.fit.compile": "flag or name",
    "train.fit.noise": "optional generator",
    "models.VariationalAutoencoder.sigma": FREE,  # a likelihood's; see the tests of the model
    "models.VariationalAutoencoder.terms.noise": FREE,
    "models.VariationalAutoencoder.reconstruct.rng": "optional generator",
    "models.LinearVAE.bound.rng": "optional generator",
    "models.LinearVAE.bound_of.rng": "optional generator",
    "models.LinearVAE.elbo.rng": "optional generator",
    "models.LinearVAE.loss.rng": "optional generator",
    "models.LinearVAE.fit.rng": "optional generator",
    "models.LinearAutoencoder.fit.rng": "optional generator",
    "models.LinearAutoencoder.loss.rng": FREE,  # not used
    "models.TwoLayerAutoencoder.loss.rng": FREE,
    "models.DeepAutoencoder.loss.rng": FREE,
    "models.SparseAutoencoder.loss.rng": FREE,
    "models.LinearAutoencoder.penalised.l2": FREE,  # the loss's own, at every step
    "models.KLWarmUp.at.epoch": FREE,
    "models.MaskedAutoencoder.checked.n": FREE,  # a number of rows, from an array
    "models.MaskedAutoencoder.visible.n": FREE,
    "models.transfer.layer_factors.decay": "positive",
    "models.transfer.fine_tune.warmup": "share",
    "models.masked.random_masks.n": "count",
    "models.slide_algorithm.until_converged.eta": "positive",
    "nn.init.zeros.rng": FREE,  # not used
    "nn.Parameter.dtype": "optional dtype",
    "nn.Module.load_state_dict.strict": "flag",
    "optim.LBFGS.lr": "positive",
    "optim.LBFGS.max_evaluations": "optional size",
    "optim.LBFGS.history": "size",
    "data.parabola.rng": "optional generator",
    "data.helix.rng": "optional generator",
    "data.arch.rng": "optional generator",
    "data.check_matrix.min_rows": "count",
    "data.load_matrix.key": FREE,  # of columns and archives; see tests/test_data_files.py
    "data.load_matrix.drop": FREE,
    "data.load_matrix.labels": FREE,
}


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """(dotted name, function) of all that is public: functions, constructors and methods."""
    for part, members in PARTS.items():
        for member in members:
            name = f"{part}.{member.__name__}"
            if not inspect.isclass(member):
                yield name, member
            elif not dataclasses.is_dataclass(member):  # a report is not an argument
                yield name, member
                for method, function in methods(member).items():
                    if not method.startswith("_") and inspect.isfunction(function):
                        yield f"{name}.{method}", function


def methods(kind: type) -> dict[str, Any]:
    """What a class defines, and what it has from the base classes of models."""
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__):
        if each is kind or each.__module__ == models.base.__name__:
            found |= vars(each)
    return found


def asked() -> Iterator[tuple[str, str, str]]:
    """(dotted name of a function, parameter, kind) of every parameter."""
    for name, function in callables():
        for parameter in inspect.signature(function).parameters:
            if parameter != "self":
                kind = SPECIAL.get(f"{name}.{parameter}", KINDS.get(parameter, "unknown"))
                yield name, parameter, kind


CHECKED = [(name, parameter, kind) for name, parameter, kind in asked() if kind != FREE]


def test_every_parameter_has_a_kind():
    unknown = [f"{name}: {parameter}" for name, parameter, kind in asked() if kind == "unknown"]
    assert not unknown, f"say in KINDS or SPECIAL of {HERE} what they are: {unknown}"


def test_the_lists_name_nothing_that_is_gone():
    parameters = {parameter for _, parameter, _ in asked()}
    dotted = {f"{name}.{parameter}" for name, parameter, _ in asked()}
    gone = [*(KINDS.keys() - parameters), *(SPECIAL.keys() - dotted)]
    gone += CALLS.keys() - {name for name, _, _ in CHECKED}
    assert not gone, f"take out of {HERE}: {sorted(gone)}"


def test_every_function_has_a_call():
    missing = sorted({name for name, _, _ in CHECKED} - CALLS.keys())
    assert not missing, f"add a call that is right to CALLS of {HERE}: {missing}"


@pytest.mark.parametrize(("name", "parameter", "kind"), CHECKED, ids=lambda v: str(v))
def test_a_wrong_argument_is_refused_in_three_lines(name, parameter, kind):
    values = WRONG[OPTIONAL.get(kind, kind)]
    allowed = kind in OPTIONAL
    for value in values:
        function, given = CALLS[name]()
        default = inspect.signature(function).parameters[parameter].default
        needed = kind.endswith("generator") and not allowed  # None is said to be missing
        if value is None and (allowed or (default is None and not needed)):
            continue
        with pytest.raises(MinigradError) as caught:
            function(**{**given, parameter: value})
            pytest.fail(f"{name}({parameter}={value!r}) passed silently")
        assert isinstance(caught.value, TypeError | ValueError), value
        assert len(str(caught.value).splitlines()) == 3, value
        if value is True:
            assert isinstance(caught.value, TypeError), f"{name}({parameter}=True): a wrong type"
