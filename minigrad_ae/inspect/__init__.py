"""Looking at gradients: one trace of a backward pass, and faces that render it.

record    one backward pass, one rule at a time (what the others are made of)
trace     the record of it: `trace`, `backward_steps`; `tape` winds it forward and back
steps     what a trace consists of
text      the trace on a terminal; `stepper` walks it, `command` is ``minigrad-ae inspect``, `diff` compares two
page      the trace as one HTML file (its parts in web/); `predict` asks the learner, `svg` draws, `layout` places
picture   the graph by matplotlib; `notebook` what Jupyter shows
emit      the pass as a program that needs NumPy only: `emit_numpy`
why       what became of a gradient that is None, zero, tiny, huge or NaN: `why`; `lost` judges a rule, `explain` knows the ops
anomaly   the first op or rule that makes NaN or Inf: `detect_anomaly`; `reasons` says what it did
inline  recipes  literals             how a program is written: expressions, functions, arrays
names  notation  summary              variables, formulas, arrays in a few numbers
witness  leaves                       the checks: of each rule where it stands, of each gradient from end to end
"""

from .diagnose.anomaly import AnomalyError, detect_anomaly
from ..program.emit import emit_numpy
from .tracing import Contribution, Step, Trace, backward_steps, trace
from .diagnose.causes import why

__all__ = ["AnomalyError", "Contribution", "Step", "Trace", "backward_steps", "detect_anomaly", "emit_numpy", "trace", "why"]
