"""The training loop: batches, loss, backward, step.

for epoch in 1, 2, ...:   for each batch:   w <- w - step(d/dw loss(batch) / len(batch))

loop         `fit`
steps        its steps, on the tape or by a program
history      what was done so far, and what a callback sees
demands      what `fit` asks of the things that it is given
updates      how far steps move the weights, and a figure of it
interrupts   Ctrl-C and its like, answered between two steps
"""

from .history import History, State
from .loop import fit
from .updates import plot_updates

__all__ = ["History", "State", "fit", "plot_updates"]
