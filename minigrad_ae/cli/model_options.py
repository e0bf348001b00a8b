"""The models of ``minigrad-ae train``, each made from its options.

To add a model: one entry in `MODELS`, and its own options, if it has any, in `OPTIONS` and
`USED_BY`.
"""

from __future__ import annotations

import math
from argparse import SUPPRESS, Namespace
from collections.abc import Callable
from typing import Any

from .. import models
from ..arguments import counted
from ..errors import DataError
from .resume import SCALES, flag_of

# with options in the units of the data, which mean something for pixels
PIXELS = ("sparse", "denoising")
# a masked autoencoder does it itself
SCALED = ("linear", "two-layer", "deep", "sparse", "denoising", "linear-vae", "vae")


# --- each made from the options o and the number of features D; settings: rng and dtype -----------


def _linear(o: Namespace, D: int, **settings: Any) -> Any:
    return models.LinearAutoencoder(D, o.latent, **settings)


def _two_layer(o: Namespace, D: int, **settings: Any) -> Any:
    return models.TwoLayerAutoencoder(D, o.latent, activation=o.activation, **settings)


def _deep(o: Namespace, D: int, **settings: Any) -> Any:
    return models.DeepAutoencoder(D, o.latent, o.hidden, activation=o.activation, **settings)


def _sparse(o: Namespace, D: int, **settings: Any) -> Any:
    return models.SparseAutoencoder(D, o.latent, lam=o.lam, constraint=o.constraint, **settings)


def _denoising(o: Namespace, D: int, **settings: Any) -> Any:
    return models.DenoisingAutoencoder(_deep(o, D, **settings), drop=o.drop, sigma=o.noise)


def _masked(o: Namespace, D: int, **settings: Any) -> Any:
    return models.MaskedAutoencoder(
        square(D), o.patch, width=o.latent, mask_ratio=o.mask_ratio, **settings
    )


def _linear_vae(o: Namespace, D: int, **settings: Any) -> Any:
    # a sigma below 0 stays below 0, so that the model refuses it
    sigma2 = 1.0 if o.sigma is None else o.sigma * abs(o.sigma)
    return models.LinearVAE(D, o.latent, beta=o.beta, sigma2=sigma2, learn_sigma2=True, **settings)


def _vae(o: Namespace, D: int, **settings: Any) -> Any:
    return models.VariationalAutoencoder(
        D,
        o.latent,
        hidden=(o.hidden,),
        activation=o.activation,
        likelihood=o.likelihood,
        sigma=o.sigma,
        learn_sigma=o.likelihood == "gaussian",
        beta=o.beta,
        **settings,
    )


def square(D: int) -> tuple[int, int]:
    """The shape of square pictures of D pixels."""
    side = math.isqrt(D)
    if side * side != D:
        raise DataError(
            "a masked autoencoder needs pictures",
            f"the data have {counted(D, 'feature')}, which is not a square number",
            "from Python, MaskedAutoencoder((height, width), patch) takes any rectangle",
        )
    return side, side


MODELS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "two-layer": _two_layer,
    "deep": _deep,
    "sparse": _sparse,
    "denoising": _denoising,
    "masked": _masked,
    "linear-vae": _linear_vae,
    "vae": _vae,
}


# --- options of single models ---------------------------------------------------------------------

# no defaults here, so that `complete` sees what was given
WHOLE = {"type": int, "default": SUPPRESS}
REAL = {"type": float, "default": SUPPRESS}
OPTIONS = {
    "--scale": {
        "choices": SCALES,
        "default": SUPPRESS,
        "help": "data less their mean and divided by one number for all columns, learned from the "
        "training rows and undone in the report; by one for each column, which changes the PCA; or "
        "as they are (one; none for pixels in [0, 1] with sparse and denoising, and for a "
        "Bernoulli vae). --noise, --lam and --sigma are in the units of scaled data",
    },
    "--hidden": {**WHOLE, "metavar": "H", "help": "hidden units in each of the outer layers (128)"},
    "--activation": {
        "choices": ["sigmoid", "tanh", "relu"],
        "default": SUPPRESS,
        "help": "of hidden units (sigmoid)",
    },
    "--lam": {**REAL, "metavar": "L", "help": "sparse: weight of the sum of |z| (0.1)"},
    "--constraint": {
        "choices": ["unit", "decay", "none"],
        "default": SUPPRESS,
        "help": "sparse: what holds the decoder; 'none' is the slide's objective (unit)",
    },
    "--noise": {**REAL, "metavar": "S", "help": "denoising: deviation of Gaussian noise (0.3)"},
    "--drop": {**REAL, "metavar": "P", "help": "denoising: probability of zeroing an entry (0)"},
    "--patch": {
        **WHOLE,
        "metavar": "P",
        "help": "masked: pixels of a patch's side (2; 4 for MNIST)",
    },
    "--mask-ratio": {**REAL, "metavar": "R", "help": "masked: share of hidden patches (0.75)"},
    "--likelihood": {
        "choices": ["bernoulli", "gaussian"],
        "default": SUPPRESS,
        "help": "p(x | z) (bernoulli)",
    },
    "--sigma": {
        **REAL,
        "metavar": "S",
        "help": "where the learnt deviation of a Gaussian p(x | z) starts (1)",
    },
    "--beta": {**REAL, "metavar": "B", "help": "weight of the KL term (1)"},
}
# option -> (default, its models); every other model refuses it
USED_BY: dict[str, tuple[Any, tuple[str, ...]]] = {
    "scale": (None, SCALED),
    "hidden": (128, ("deep", "denoising", "vae")),
    "activation": ("sigmoid", ("two-layer", "deep", "denoising", "vae")),
    "lam": (0.1, ("sparse",)),
    "constraint": ("unit", ("sparse",)),
    "noise": (0.3, ("denoising",)),
    "drop": (0.0, ("denoising",)),
    "patch": (2, ("masked",)),
    "mask_ratio": (0.75, ("masked",)),
    "likelihood": ("bernoulli", ("vae",)),
    "sigma": (None, ("linear-vae", "vae")),
    "beta": (1.0, ("linear-vae", "vae")),
}


def complete(options: Namespace) -> None:
    """Refuse options that the model does not use, and give the others their defaults."""
    for name, (default, users) in USED_BY.items():
        if options.model in users:
            vars(options).setdefault(name, default)
        elif hasattr(options, name):
            flag = flag_of(name)
            raise DataError(
                f"{flag} means nothing to the model {options.model!r}",
                f"it is an option of {', '.join(users)}",
                f"leave out {flag}, or choose another model",
            )
