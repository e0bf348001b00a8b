"""The parts of the package whose parameters are asked for, and a right call of each of their
functions: for `test_arguments` and `right_calls`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad_ae as mg
from minigrad_ae import data, models, nn, optim, train
from minigrad_ae.models import estimators, masked, slide_algorithm, transfer

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
