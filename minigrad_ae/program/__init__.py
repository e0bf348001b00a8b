"""A backward pass as a program: the NumPy code that a person would have written by hand.

emit         the program: `emit_numpy`
inline       expressions of ops as plain NumPy text, and the functions that a program brings along
literals     arrays and settings as source that reads back as the same bits
"""

from .emit import emit_numpy

__all__ = ["emit_numpy"]
