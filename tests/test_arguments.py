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

import minigrad_ae as mg
from minigrad_ae import data, models, nn, optim, train
from minigrad_ae.errors import MinigradError
from minigrad_ae.models import estimators, masked, slide_algorithm, transfer

HERE = "tests/test_arguments.py"
PARTS = {
    "models": [getattr(models, name) for name in models.__all__],
    "models.transfer": [
        transfer.classifier,
        transfer.layer_factors,
        transfer.fine_tune,
        transfer.LogisticRegression,
    ],
    "models.masked": [masked.random_masks],
    "models.slide_algorithm": [slide_algorithm.algorithm_1, slide_algorithm.until_converged],
    "models.estimators": [
        estimators.kl_samples,
        estimators.reparameterised_gradients,
        estimators.score_function_gradients,
    ],
    "nn": [getattr(nn, name) for name in nn.__all__ if name != "init"],
    "nn.init": [
        nn.init.zeros,
        nn.init.normal,
        nn.init.xavier_uniform,
        nn.init.xavier_normal,
        nn.init.he_uniform,
        nn.init.he_normal,
        nn.init.orthogonal,
    ],
    "optim": [getattr(optim, name) for name in optim.__all__],
    "data": [getattr(data, name) for name in data.__all__],
    "train": [train.fit],
}
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


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


X = np.random.default_rng(1).random((6, 4))
PICTURES = np.random.default_rng(1).random((6, 16))
P = nn.Parameter(np.ones((2, 2)), name="p")


def linear():
    return models.LinearAutoencoder(4, 2, rng=rng())


def vae():
    return models.VariationalAutoencoder(4, 2, hidden=(3,), rng=rng())


def linear_vae():
    return models.LinearVAE(4, 2, rng=rng())


def masked_model():
    return models.MaskedAutoencoder((4, 4), 2, width=4, decoder_width=4, rng=rng())


def vision():
    return nn.VisionTransformer((4, 4), 2, 4, 1, 2, n_classes=3, rng=rng())


def with_gradient():
    P.grad = np.ones((2, 2))
    return P


def drawn(function: Any, **given: Any) -> Any:
    return lambda: (function, {**given, "rng": rng()})


def sgd_model(**given: Any) -> Any:
    model = linear()
    optimizer = optim.SGD(model.parameters(), 1e-3)
    return train.fit, {"model": model, "X": X, "optimizer": optimizer, "progress": False, **given}


WEIGHT = {"shape": (3, 2)}
AT = {"mu": [0.0], "log_var": [0.0], "n": 3}
# a call that is right, into which one wrong value after the other is put
CALLS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "models.DeepAutoencoder": drawn(models.DeepAutoencoder, n_features=4, n_latent=2),
    "models.DenoisingAutoencoder": lambda: (
        models.DenoisingAutoencoder,
        {"autoencoder": linear()},
    ),
    "models.DenoisingAutoencoder.loss": drawn(
        models.DenoisingAutoencoder(linear(), drop=0.1).loss, x=X
    ),
    "models.DenoisingAutoencoder.corrupt": drawn(
        models.DenoisingAutoencoder(linear(), drop=0.1).corrupt, x=X
    ),
    "models.KLWarmUp": lambda: (models.KLWarmUp, {"model": vae(), "epochs": 3}),
    "models.LinearAutoencoder": drawn(models.LinearAutoencoder, n_features=4, n_latent=2),
    "models.LinearAutoencoder.fit": lambda: (linear().fit, {"X": X}),
    "models.LinearVAE": drawn(models.LinearVAE, n_features=4, n_latent=2),
    "models.LinearVAE.sample": drawn(linear_vae().sample, n=3),
    "models.LinearVAE.bound": lambda: (linear_vae().bound, {"x": X}),
    "models.LinearVAE.bound_of": lambda: (
        linear_vae().bound_of,
        {"x": X, "mu": X[:, :2], "log_var": X[:, :2]},
    ),
    "models.LinearVAE.elbo": lambda: (linear_vae().elbo, {"x": X}),
    "models.LinearVAE.loss": lambda: (linear_vae().loss, {"x": X}),
    "models.LinearVAE.draw": drawn(linear_vae().draw, mu=X[:, :2], log_var=X[:, :2], n_samples=2),
    "models.LinearVAE.log_weights": drawn(linear_vae().log_weights, x=X, n_samples=2),
    "models.LinearVAE.log_likelihood": drawn(linear_vae().log_likelihood, x=X, n_samples=2),
    "models.LinearVAE.fit": lambda: (linear_vae().fit, {"X": X}),
    "models.MaskedAutoencoder": drawn(models.MaskedAutoencoder, width=4, decoder_width=4),
    "models.MaskedAutoencoder.loss": drawn(masked_model().loss, x=PICTURES),
    "models.MaskedAutoencoder.reconstruct": lambda: (
        masked_model().reconstruct,
        {"x": PICTURES, "mask": np.array([True, False, False, False])},
    ),
    "models.SparseAutoencoder": drawn(models.SparseAutoencoder, n_features=4, n_latent=2),
    "models.TwoLayerAutoencoder": drawn(models.TwoLayerAutoencoder, n_features=4, n_latent=2),
    "models.VariationalAutoencoder": drawn(models.VariationalAutoencoder, n_features=4, n_latent=2),
    "models.VariationalAutoencoder.loss": drawn(vae().loss, x=X),
    "models.VariationalAutoencoder.bound": drawn(vae().bound, x=X),
    "models.VariationalAutoencoder.elbo": drawn(vae().elbo, x=X),
    "models.VariationalAutoencoder.log_weights": drawn(vae().log_weights, x=X, n_samples=2),
    "models.VariationalAutoencoder.iwae": drawn(vae().iwae, x=X, n_samples=2),
    "models.VariationalAutoencoder.log_likelihood": drawn(vae().log_likelihood, x=X, n_samples=2),
    "models.VariationalAutoencoder.sample": drawn(vae().sample, n=3),
    "models.VariationalAutoencoder.reconstruct": lambda: (vae().reconstruct, {"x": X}),
    "models.diagnose": drawn(models.diagnose, model=vae(), X=X),
    "models.transfer.classifier": lambda: (
        transfer.classifier,
        {"autoencoder": masked_model(), "n_classes": 3},
    ),
    "models.transfer.layer_factors": lambda: (
        transfer.layer_factors,
        {"model": vision(), "decay": 0.7},
    ),
    "models.transfer.fine_tune": drawn(
        transfer.fine_tune, model=vision(), X=PICTURES, y=np.zeros(6, int), steps=2
    ),
    "models.transfer.LogisticRegression": lambda: (
        transfer.LogisticRegression,
        {"n_features": 4, "n_classes": 2},
    ),
    "models.transfer.LogisticRegression.fit": lambda: (
        transfer.LogisticRegression(4, 2).fit,
        {"X": X, "y": np.zeros(6, int)},
    ),
    "models.masked.random_masks": drawn(masked.random_masks, n=3, n_patches=4, ratio=0.5),
    "models.slide_algorithm.algorithm_1": drawn(
        slide_algorithm.algorithm_1, model=vae(), X=X, eta=1e-3
    ),
    "models.slide_algorithm.until_converged": drawn(
        slide_algorithm.until_converged, model=vae(), X=X, eta=1e-3, halvings=1, passes=2
    ),
    "models.estimators.kl_samples": drawn(estimators.kl_samples, **AT),
    "models.estimators.reparameterised_gradients": drawn(
        estimators.reparameterised_gradients, f=lambda z: mg.sum(z, axis=-1), **AT
    ),
    "models.estimators.score_function_gradients": drawn(
        estimators.score_function_gradients, f=lambda z: mg.sum(z, axis=-1), **AT
    ),
    "nn.Dropout": drawn(nn.Dropout, rate=0.5),
    "nn.GELU": lambda: (nn.GELU, {}),
    "nn.LayerNorm": lambda: (nn.LayerNorm, {"features": 4}),
    "nn.Linear": drawn(nn.Linear, in_features=4, out_features=2),
    "nn.Module.train": lambda: (nn.Tanh().train, {}),
    "nn.Module.load_state_dict": lambda: (nn.Tanh().load_state_dict, {"state": {}}),
    "nn.MultiHeadAttention": drawn(nn.MultiHeadAttention, width=4, heads=2),
    "nn.Parameter": lambda: (nn.Parameter, {"data": X}),
    "nn.PatchEmbedding": drawn(nn.PatchEmbedding, image_shape=(4, 4), patch=2, width=4),
    "nn.TransformerBlock": drawn(nn.TransformerBlock, width=4, heads=2),
    "nn.VisionTransformer": drawn(nn.VisionTransformer, image_shape=(4, 4), patch=2, width=4),
    "nn.patchify": lambda: (nn.patchify, {"x": PICTURES, "image_shape": (4, 4), "patch": 2}),
    "nn.unpatchify": lambda: (
        nn.unpatchify,
        {"patches": PICTURES.reshape(6, 4, 4), "image_shape": (4, 4), "patch": 2},
    ),
    "nn.init.zeros": lambda: (nn.init.zeros, {"shape": (3, 2)}),
    **{f"nn.init.{f.__name__}": drawn(f, **WEIGHT) for f in PARTS["nn.init"][1:]},
    "optim.Optimizer": lambda: (optim.Optimizer, {"params": [P], "lr": 0.1}),
    "optim.SGD": lambda: (optim.SGD, {"params": [P], "lr": 0.1}),
    "optim.Adam": lambda: (optim.Adam, {"params": [P]}),
    "optim.AdamW": lambda: (optim.AdamW, {"params": [P]}),
    "optim.LBFGS": lambda: (optim.LBFGS, {"params": [P]}),
    "optim.cosine_schedule": lambda: (optim.cosine_schedule, {"base": 0.1, "steps": 9}),
    "optim.clip_grad_norm": lambda: (
        optim.clip_grad_norm,
        {"params": [with_gradient()], "max_norm": 1.0},
    ),
    "data.additive_gaussian": drawn(data.additive_gaussian, x=X, sigma=0.1),
    "data.zero_random_subset": drawn(data.zero_random_subset, x=X, drop=0.1),
    "data.arch": lambda: (data.arch, {}),
    "data.helix": lambda: (data.helix, {}),
    "data.parabola": lambda: (data.parabola, {}),
    "data.batches": drawn(data.batches, X=X, size=2),
    "data.check_matrix": lambda: (data.check_matrix, {"X": X}),
    "data.digits": lambda: (data.digits, {}),
    "data.mnist": lambda: (data.mnist, {"root": "no such folder"}),
    "data.patches": drawn(
        data.patches, n=2, size=4, image=np.random.default_rng(0).random((40, 40))
    ),
    "train.fit": lambda: sgd_model(epochs=1, rng=rng()),
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
