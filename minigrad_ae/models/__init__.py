"""The models of chapter 19, one file each."""

from .deep import DeepAutoencoder
from .linear import Fit, LinearAutoencoder
from .sparse import SparseAutoencoder
from .two_layer import TwoLayerAutoencoder

__all__ = ["DeepAutoencoder", "Fit", "LinearAutoencoder", "SparseAutoencoder", "TwoLayerAutoencoder"]
