"""The models of chapter 19, one file each; what several share is in files of its own.

base                     encoder, decoder and loss; the likelihood by importance weighting
densities                the terms of the variational bound, in Tensor operations
estimators               gradients of expectations: reparameterised, and by the score function
diagnostics              what a code holds: KL and activity of each unit, aggregate posterior,
                         mutual information
"""

from .deep import DeepAutoencoder
from .denoising import DenoisingAutoencoder
from .diagnostics import LatentReport, diagnose
from .linear import Fit, LinearAutoencoder
from .linear_vae import LinearVAE
from .masked import MaskedAutoencoder
from .sparse import SparseAutoencoder
from .two_layer import TwoLayerAutoencoder
from .variational import KLWarmUp, VariationalAutoencoder

__all__ = [
    "DeepAutoencoder",
    "DenoisingAutoencoder",
    "Fit",
    "KLWarmUp",
    "LatentReport",
    "LinearAutoencoder",
    "LinearVAE",
    "MaskedAutoencoder",
    "SparseAutoencoder",
    "TwoLayerAutoencoder",
    "VariationalAutoencoder",
    "diagnose",
]
