"""The models of chapter 19, one file each."""

from .linear import Fit, LinearAutoencoder
from .masked import MaskedAutoencoder

__all__ = ["Fit", "LinearAutoencoder", "MaskedAutoencoder"]
