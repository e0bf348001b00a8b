"""A wrong rule is marked at exactly its own steps, on the page as on the terminal: for every rule
of the registry.
"""

from __future__ import annotations

import json
import re

import pytest
import zoo
from helpers import nonfinite_numbers

from minigrad_ae.autodiff import engine
from minigrad_ae.inspect import trace
from minigrad_ae.inspect.render.html_page import page
from minigrad_ae.ops import REGISTRY

pytestmark = nonfinite_numbers
RULES = [(op, k) for op in REGISTRY.values() for k, rule in enumerate(op.vjps) if rule is not None]


@pytest.mark.parametrize(
    ("op", "slot"), RULES, ids=[f"{op.name}-{list(op.rules)[k]}" for op, k in RULES]
)
def test_page_and_terminal_mark_exactly_the_faulty_steps(op, slot, monkeypatch):
    def hit(value, i):
        return value.op is op and (op.variadic or i == slot)

    homes = (
        n
        for n in zoo.ZOO
        if any(hit(v, i) for v in engine.topological(zoo.make(n)) for i, _ in v.edges)
    )
    home = next(homes, None)
    assert home, f"no graph of tests/zoo.py uses the rule of {op.name}: write a cage that does"
    right = op.vjps[slot]
    monkeypatch.setitem(
        op.__dict__,
        "vjps",
        [*op.vjps[:slot], lambda *a, **k: 1.0001 * right(*a, **k), *op.vjps[slot + 1 :]],
    )
    t = trace(zoo.make(home))
    faulty = {
        s.k
        for s in t.steps
        for c in s.contributions
        if s.op == op.name
        and (op.variadic or c.argument == op.argument(slot))
        and c.added.any()
        and c.check.status != "kink"
    }
    assert faulty
    data = json.loads(re.search(r'id="data">(.*?)</script>', page(t), re.S).group(1))
    assert {s["k"] for s in data["steps"] if not s["ok"]} == faulty
    assert {
        s["k"] for s in data["steps"] if any(o["ck"]["st"] == "failed" for o in s["o"])
    } == faulty
    rows = [line for line in t.text().split("\n") if line]
    marked, k = set(), 0
    for line in rows:
        k = int(line.split()[0]) if re.match(r"\d+  ", line) else k
        if line.endswith("WRONG"):
            marked.add(k)
    assert marked == faulty
    record = t.record()
    assert {
        s["k"] for s in record["steps"] if not all(o["check"]["ok"] for o in s["out"])
    } == faulty
