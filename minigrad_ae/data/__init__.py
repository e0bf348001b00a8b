"""Data: the shipped digits, the user's own matrices, and the few things done to a matrix before training.

=========  ==========================================================================
digits     1,797 real images of 8 x 8 pixels, shipped with the package
files      a matrix from a .npy file
patches    whitened patches of a photograph that matplotlib ships
validate   is this a matrix that can be learned from?
scaling    centring, and one common unit
batches    seeded mini-batches
=========  ==========================================================================
"""

from .batches import batches
from .digits import digits
from .files import load_matrix
from .patches import patches, photograph, whiten
from .scaling import centre, scale
from .validate import check_matrix

__all__ = ["batches", "centre", "check_matrix", "digits", "load_matrix", "patches", "photograph", "scale", "whiten"]
