"""The models of chapter 19, one file each."""

from .linear import Fit, LinearAutoencoder

__all__ = ["Fit", "LinearAutoencoder"]
