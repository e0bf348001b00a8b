"""The models of chapter 19, one file each; what variational ones share is in files of its own.

densities, likelihoods   the terms of the variational bound, in Tensor operations
estimators               gradients of expectations: reparameterised, and by the score function
diagnostics              what a code holds: KL and activity of each unit, aggregate posterior, mutual information
"""

from .diagnostics import LatentReport, diagnose
from .linear import Fit, LinearAutoencoder
from .linear_vae import LinearVAE
from .sparse import SparseAutoencoder
from .variational import KLWarmUp, VariationalAutoencoder

__all__ = [
    "Fit",
    "KLWarmUp",
    "LatentReport",
    "LinearAutoencoder",
    "LinearVAE",
    "SparseAutoencoder",
    "VariationalAutoencoder",
    "diagnose",
]
