"""Public docstrings have NumPy's sections, none missing, and their examples run.

`numpydoc` reads them.  What is asked of each: `RULES`, numpydoc's own codes; a ``Raises`` section
where the source raises; an example for every class and for each function that lessons or the
README use.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re

import numpy as np
import public
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import minigrad_ae as mg

RULES = {
    "GL03": "two blank lines in a row",
    "GL05": "tabs",
    "GL06": "a section that NumPy's format does not have",
    "GL07": "sections in another order than NumPy's",
    "GL08": "no docstring",
    "SS01": "no summary",
    "SS03": "the summary does not end with a full stop",
    "PR01": "parameters that are not told",
    "PR02": "parameters that do not exist",
    "PR03": "parameters in another order",
    "PR04": "a parameter without a type",
    "PR07": "a parameter without a description",
    "PR10": "no space before the colon of a parameter",
    "RT01": "no Returns section",
    "RT03": "a return value without a description",
    "YD01": "no Yields section",
}
OBJECTS = public.public()
READERS = public.used_by_readers()


def faults(each: public.Public) -> list[str]:
    """What is missing, a line each."""
    checked = validate(each.name)["errors"]
    found = [f"{code} {text}" for code, text in checked if code in RULES]
    sections = set(re.findall(r"^(\w[\w ]*)\n-+$", each.doc, re.M))
    if each.raises and "Raises" not in sections:
        found.append("its source raises, and there is no Raises section")
    wanted = each.is_class or (not each.is_member and each.path in READERS)
    if wanted and ">>>" not in each.doc:
        found.append("no example")
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_public_docstrings_have_every_section(name):
    assert faults(OBJECTS[name]) == []


@pytest.mark.parametrize("name", mg.ops.REGISTRY)
def test_an_op_is_documented_by_its_block(name):
    op = mg.ops.REGISTRY[name]
    read = NumpyDocString(op.__doc__)
    assert read["Summary"] == [f"{op.law}."]
    assert [each.name for each in read["Parameters"]] == [*op.rules, *op.defaults]
    assert read["Returns"]
    notes = " ".join("\n".join(read["Notes"]).split())
    for text in (*filter(None, op.rules.values()), op.why):
        assert " ".join(text.split()) in notes
    assert ("Not differentiable" in notes) == (op.kink is not None)


def modules() -> list[str]:
    found = pkgutil.walk_packages(mg.__path__, "minigrad_ae.")
    return [each.name for each in found if not each.name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    words = {"mg": mg, "np": np}
    done = doctest.testmod(module, extraglobs=words, optionflags=flags)
    assert done.failed == 0
