"""Looking at gradients: the trace of a backward pass, a stepper, and the pass as a NumPy program.

record    one backward pass, one rule at a time (what the others are made of)
trace     the record of it: `trace`, `backward_steps`
text      the trace on a terminal
steps     what a trace consists of
emit      the pass as a program that needs NumPy only: `emit_numpy`
inline  recipes  literals             how it is written: expressions, functions, arrays
names  notation  summary  witness     variables, formulas, arrays in a few numbers, the check beside each number
"""

from .emit import emit_numpy
from .trace import Contribution, Step, Trace, backward_steps, trace

__all__ = ["Contribution", "Step", "Trace", "backward_steps", "emit_numpy", "trace"]
