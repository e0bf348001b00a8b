"""Data: real images, curved toys, the user's own matrices, and what is done to them before and
during training.

===============  ========================================================================
optical_digits   1,797 real images of 8 x 8 pixels, shipped with the package
mnist_files      the 70,000 images of MNIST (and Fashion-MNIST and Kuzushiji-MNIST), from their
                 IDX files; `download` fetches them
image_patches    whitened patches of a photograph that matplotlib ships
manifolds        points on a parabola, a helix, a saddle surface
corruptions      the two kinds of noise of a denoising autoencoder
matrix_files     a matrix from the user's own file; each kind of file has its reader
numpy_files      .npy and .npz
text_tables      .csv, .tsv, .txt
idx_files        IDX, of any size
picture_folders  a folder of pictures
columns          which columns are features, and which one holds labels
validate         is this a matrix that can be learned from?
scaling          centring, and one common unit; how to undo both
minibatches      seeded mini-batches
shipped_results  small results that took minutes to compute
===============  ========================================================================
"""

from .corruptions import additive_gaussian, zero_random_subset
from .image_patches import patches, photograph, whiten
from .manifolds import arch, helix, parabola
from .matrix_files import load_matrix
from .minibatches import batches
from .mnist_files import mnist
from .optical_digits import digits
from .scaling import Scaling, centre, scale
from .shipped_results import shipped
from .validate import check_matrix

__all__ = [
    "Scaling",
    "additive_gaussian",
    "arch",
    "batches",
    "centre",
    "check_matrix",
    "digits",
    "helix",
    "load_matrix",
    "mnist",
    "parabola",
    "patches",
    "photograph",
    "scale",
    "shipped",
    "whiten",
    "zero_random_subset",
]
