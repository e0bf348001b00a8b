"""Models on disk: one .npz file, written whole or not at all, and read without ever running code
from it.

format      the names, the header and the sum that make an archive a checkpoint
archives    arrays out of an archive that anyone may have written
settings    the arguments that made a model, and the model that they make
saving      `save`, and the arrays that it writes: `packed`
loading     `load` and its like: what a file holds, judged and put into a model
contents    `Checkpoint`: what was found, in the units of the table
"""

from .contents import Checkpoint
from .format import FILE, FORMAT, META, SUM, digest, older
from .loading import described, load, load_model
from .saving import packed, save
from .settings import settings_of

__all__ = [
    "FILE",
    "FORMAT",
    "META",
    "SUM",
    "Checkpoint",
    "described",
    "digest",
    "load",
    "load_model",
    "older",
    "packed",
    "save",
    "settings_of",
]
