"""The models of chapter 19, one file each."""

from .linear import Fit, LinearAutoencoder
from .sparse import SparseAutoencoder

__all__ = ["Fit", "LinearAutoencoder", "SparseAutoencoder"]
