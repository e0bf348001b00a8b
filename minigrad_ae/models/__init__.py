"""The models of chapter 19, one file each."""

from .linear import Fit, LinearAutoencoder
from .linear_vae import LinearVAE

__all__ = ["Fit", "LinearAutoencoder", "LinearVAE"]
