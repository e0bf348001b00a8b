"""Looking at gradients: one recording of a backward pass, and the faces that render it.

tracing      records a backward pass: `trace`, `backward_steps`
record       what a recording consists of: steps, names, notation, and the check of each rule
render       a recording on a terminal, as an HTML page, as a picture
diagnose     what went wrong: `why` a gradient is None, zero, tiny, huge or NaN; `detect_anomaly`;
             where two recordings part
suspicions   the everyday bugs: `suspect` names them, `watch` sees those that take several steps
"""

from ..program.emit import emit_numpy
from .diagnose.anomaly import AnomalyError, detect_anomaly
from .diagnose.explanations import why
from .record.steps import Contribution, Step
from .suspicions.question import Suspicion
from .suspicions.suspecting import Suspicions, suspect
from .suspicions.watching import watch
from .tracing import Trace, backward_steps, trace

__all__ = [
    "AnomalyError",
    "Contribution",
    "Step",
    "Suspicion",
    "Suspicions",
    "Trace",
    "backward_steps",
    "detect_anomaly",
    "emit_numpy",
    "suspect",
    "trace",
    "watch",
    "why",
]
