"""A standing second opinion: random programs over all public functions, judged by complex steps,
which share no rule with the engine, by their NumPy definitions, by their compiled form, and in
float32 by float64.

CI judges programs that are always the same; ``nox -s fuzz`` 10,000 others, beside PyTorch too.
What fails is shrunk by hypothesis to the fewest steps.
"""

from __future__ import annotations

import hypothesis
from opinions import JUDGES, always_the_same
from random_programs import COMPOSED, REAL_ONLY, STEPS, programs

from minigrad_ae.ops import COMPOSITIONS, REGISTRY

given = hypothesis.given


@always_the_same(2000)
@given(programs)
def test_the_gradient_is_that_of_a_complex_step(program):
    assert JUDGES["complex step"](program) <= 1


@always_the_same(150)
@given(programs)
def test_a_hessian_vector_product_is_a_complex_step_of_the_gradient(program):
    assert JUDGES["complex step of the gradient"](program) <= 1


@always_the_same(150)
@given(programs)
def test_kernels_give_the_gradient_of_their_definitions(program):
    assert JUDGES["kernels"](program) <= 1


@always_the_same(40)
@given(programs)
def test_a_compiled_program_has_the_bits_of_the_tape(program):
    assert JUDGES["compiled"](program) == 0


@always_the_same(300)
@given(programs)
def test_float32_is_off_by_what_the_condition_of_the_program_explains(program):
    assert JUDGES["float32"](program) <= 1


def test_every_function_takes_part():
    functions = {name for name, f in {**REGISTRY, **COMPOSITIONS}.items() if f.public}
    # an op or composition of the same name is one function; `attention` and others are ops here
    missing = functions - set(STEPS) - REAL_ONLY
    assert not missing, f"add a step to COMPOSED in tests/random_programs.py: {sorted(missing)}"
    assert not set(COMPOSED) - set(COMPOSITIONS), "a composition that there is not"


def test_a_wrong_rule_is_found_and_shrunk(monkeypatch):
    """Within 200 programs, to one or two steps."""
    monkeypatch.setattr(REGISTRY["tanh"], "vjps", [lambda g, y, x: 1.05 * g * (1 - y * y)])
    wrong = hypothesis.find(programs, differs("complex step"), settings=always_the_same(200))
    assert differs("complex step")(wrong) and len(wrong.steps) <= 2


def test_a_rule_that_is_wrong_in_float32_alone_is_found(monkeypatch):
    def rule(g, y, x):
        return g * (1 - y * y) * y.dtype.type(1.001 if y.dtype == "float32" else 1)

    monkeypatch.setattr(REGISTRY["tanh"], "vjps", [rule])
    at_once = hypothesis.settings(always_the_same(200), phases=[hypothesis.Phase.generate])
    assert differs("float32")(hypothesis.find(programs, differs("float32"), settings=at_once))


def differs(judge):
    return lambda program: JUDGES[judge](program) > 1
