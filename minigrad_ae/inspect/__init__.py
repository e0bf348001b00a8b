"""Looking at gradients: the trace of a backward pass and a stepper.

record    one backward pass, one rule at a time (what the others are made of)
trace     the record of it: `trace`, `backward_steps`
text      the trace on a terminal
names  notation  summary  witness     variables' names; formulas; arrays in a few numbers; the check beside each number
"""

from .trace import Contribution, Step, Trace, backward_steps, trace

