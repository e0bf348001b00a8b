"""A backward pass as a program: the NumPy code that a person would have written by hand.

compiled     a training step as a program that runs: `compile`
emit         the program: `emit_numpy`
listing      the lines of a compiled step, and the NumPy module that they are
profile      what each line costs: operations, bytes, time, and the roof
inline       expressions of ops as plain NumPy text, and the functions that a program brings along
literals     arrays and settings as source that reads back as the same bits
"""

from .compiled import CompiledStep, compile
from .emit import emit_numpy

__all__ = ["CompiledStep", "compile", "emit_numpy"]
