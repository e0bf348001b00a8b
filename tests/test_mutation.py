"""The tests are tested: every small edit of every rule that changes a gradient is caught, and
blamed on that rule.

A mutant is a rule's text with one edit of its syntax tree: an expression times 1.0001, its sign
changed, its last two axes swapped, or a factor, divisor or term dropped.  It counts where it
changes the gradient by more than 1e-6 relative on an input set of `cases.py`; there `rule_error`,
the check of the op tests, has to see it.
"""

from __future__ import annotations

import numpy as np
import pytest
from edits import mutants, planted

import minigrad_ae as mg
from minigrad_ae.autodiff.check import rule_error
from minigrad_ae.ops import REGISTRY

RULES = [
    (name, argument) for name, op in REGISTRY.items() for argument, rule in op.rules.items() if rule
]
EACH_RULE = pytest.mark.parametrize("name, argument", RULES, ids=lambda v: v)


@EACH_RULE
def test_every_edit_that_matters_is_caught_on_every_set_where_it_matters(name, argument):
    op, killed = REGISTRY[name], 0
    for text in mutants(op.rules[argument]):
        with planted(name, argument, text) as wrong:
            for k, case in wrong:
                error, complaint = rule_error(
                    op, k, case.inputs, case.params, np.random.default_rng(1)
                )
                assert complaint and error > 1e-9, f"{name}, {argument}: {text} survived at {case}"
            killed += bool(wrong)
    assert killed >= 2, "the factor and the sign matter on some input set, at the least"


@EACH_RULE
def test_check_graph_blames_exactly_the_mutant(name, argument):
    op = REGISTRY[name]
    for text in mutants(op.rules[argument]):
        with planted(name, argument, text) as wrong:
            for k, case in wrong[:2]:
                report = mg.check_graph(graph_around(op, k, case))
                blamed = {(f.op, f.argument) for f in report.failures}
                assert blamed == {(name, op.argument(k))}, f"{text} at {case}: {report}"
                assert any(
                    "test_mutation.py" in f.location and "op(*inputs" in f.location
                    for f in report.failures
                )


def graph_around(op, k, case):
    """The op between two others; only its input k requires a gradient, so no other rule of it
    runs.
    """
    inputs = list(case.inputs)
    inputs[k] = -mg.tensor(-inputs[k], requires_grad=True)
    return -op(*inputs, **case.params)


def test_the_edits_are_those_promised():
    assert set(mutants("g * (1 - y)")) >= {
        "g * (1 - y) * 1.0001",
        "-(g * (1 - y))",
        "swapaxes(g * (1 - y), -1, -2)",
        "g",
        "1 - y",
        "g * 1",
        "g * -y",
        "-g * (1 - y)",
        "g * (1 * 1.0001 - y)",
        "g * (1 - -y)",
        "swapaxes(g, -1, -2) * (1 - y)",
        "g * (1 - y * 1.0001)",
    }
    assert "-g / b" in mutants("-g * y / b") and "-g * y" in mutants("-g * y / b")
