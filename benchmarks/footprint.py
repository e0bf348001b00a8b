"""What a step of ours asks of the machine, in figures that noise does not disturb: page faults,
peak memory, calls of our own functions.

    python benchmarks/footprint.py MODEL

prints them for one model of step_models.py, on the tape and compiled, as JSON.  A process of its
own for each model: what was freed before is what the C library learns from.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.step_models import MODELS
from benchmarks.step_peers import on_tape, prepared

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WARM, COUNTED = 24, 8  # steps before, and while, page faults are counted
Step = Callable[[], Any]


def page_faults(step: Step) -> float | None:
    """Pages that a step brings in anew, once it has been made two dozen times."""
    if resource is None:
        return None
    for _ in range(WARM):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(COUNTED):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / COUNTED


def peak(step: Step, params: list[Any]) -> int:
    """Bytes that Python and NumPy hold at most within a step, above what they hold between two
    when the gradients are gone.
    """
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(3):  # what the first leaves behind is between two
            step()
        for p in params:
            p.grad = None
        level = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - level
    finally:
        tracemalloc.stop()


def live(loss: Any) -> int:
    """Bytes of the arrays that a graph holds when its backward pass begins, and of the gradients
    that the pass leaves behind.
    """
    from minigrad_ae.autodiff.engine import topological

    values = topological(loss)
    arrays = [v._data for v in values if v.op is not None]
    arrays += [a for v in values for a in v.saved or ()]
    owners = {id(a): a for a in map(owner, arrays)}
    leaves = [v._data for v in values if v.op is None and v.requires_grad]
    return sum(a.nbytes for a in [*owners.values(), *leaves])


def owner(array: Any) -> Any:
    """The array whose memory this one looks into."""
    while getattr(array, "base", None) is not None and hasattr(array.base, "nbytes"):
        array = array.base
    return array


def calls(step: Step) -> int:
    """Calls of Python functions of our package in a step."""
    import minigrad_ae

    folder = str(Path(minigrad_ae.__file__).parent)
    found = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal found
        found += event == "call" and frame.f_code.co_filename.startswith(folder)

    for _ in range(3):  # some of the first steps are special
        step()
    gc.disable()  # a collector's callbacks would be counted
    sys.setprofile(count)
    try:
        step()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found


def seconds(step: Step, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        step()
    return time.perf_counter() - start


def footprint(number: int) -> dict[str, dict[str, float | None]]:
    """Both ways of making the steps of a model.

    The peak of a compiled step holds the arrays of its program, which are there between steps, too;
    `first` is what its first two calls, which make the program and compare it, take beyond two
    steps on the tape.
    """
    import minigrad_ae as mg

    loss, optimizer, *given = prepared(MODELS[number], 1)
    params, arrays = optimizer.params, live(loss(*given))
    step = partial(on_tape, loss, optimizer, *given)
    usual = page_faults(step), calls(step), seconds(step, 2)
    found = {"faults": usual[0], "calls": usual[1], "peak": peak(step, params), "live": arrays}
    compiled = mg.compile(loss, optimizer=optimizer)
    step = partial(compiled, *given)
    first = seconds(step, 2) - usual[2]
    faults, called = page_faults(step), calls(step)
    held = compiled.program.nbytes if compiled.program else 0
    own = {"faults": faults, "calls": called, "peak": held + peak(step, params), "first": first}
    return {"tape": found, "compiled": own}


if __name__ == "__main__":
    print(json.dumps(footprint(int(sys.argv[1]))))
