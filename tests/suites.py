"""Suites that no one here wrote, HIPS autograd's and MyGrad's, run unchanged on minigrad_ae.

    nox -s suites                        fetches both by version, and runs them
    python tests/suites.py ARCHIVE       runs one that is there already

tests/shims presents their names with minigrad_ae underneath; their own checks judge, against
finite differences, autograd's to the second order.  The result is tests/suites.json, with every
test by name:

    passed                      all that it asks is right
    passed for real numbers     likewise, but it also asks for complex ones, which are absent
    never reached               minigrad_ae takes no part in it, and it says nothing
    absent                      it uses something that minigrad_ae has not: what
    different                   it fails where minigrad_ae is meant to be otherwise: the reason
    failed                      it fails; so does the run
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RESULTS = HERE / "suites.json"
SHA256 = {  # of the source distributions; later ones of MyGrad hold no tests
    "autograd-1.9.1": "7818c5c69ddf9efb7da74097bd741a4c7920133f41966f68537223a15ef798bc",
    "mygrad-1.0.4": "47a97446848073fe132e317284db75336c50c1b7447260646d66505e4afec340",
}

LISTS = "a list of tensors is refused where a tensor belongs: mg.stack makes one of them"
INDEXER = "np.r_ and np.c_ hand no tensors over, and are refused: mg.concatenate"
HYPOTHESIS = "not minigrad_ae: hypothesis of today refuses the empty list in their strategy"
TIES = "at a tie each side has half of the gradient, in MyGrad none"
DIFFERENT: dict[str, dict[str, str]] = {}
DIFFERENT["mygrad-1.0.4"] = {
    "math/binary/test_binary_funcs.py::test_maximum_bkwd_equal": TIES,
    "math/binary/test_binary_funcs.py::test_minimum_bkwd_equal": TIES,
    "math/sequence/test_sequential_funcs.py::test_prod_fwd": "factors are multiplied in another "
    "order than NumPy's, and 5e-324 rounds otherwise",
    "math/unary/test_scipy_mirror.py::test_logsumexp": "it asks for the bits of SciPy's, which "
    "takes the largest term out of the sum",
    "tensor_base/test_scalar_only.py::test_practical_scalar_only": "backward() of what is no "
    "scalar always asks for a gradient; the shim passes ones, as MyGrad does elsewhere",
    "tensor_ops/test_getitem.py::test_getitem_basicindex_fwdprop": HYPOTHESIS,
    "tensor_ops/test_getitem.py::test_getitem_basicindex_bkwdprop": HYPOTHESIS,
}
DIFFERENT["autograd-1.9.1"] = {
    "test_builtins.py::test_isinstance": "a Tensor is no ndarray, nor a float",
    "test_graphs.py::test_assignment_raises_error": "an assignment into a tensor is refused by a "
    "GradientError, which is a RuntimeError and no TypeError",
    "test_linalg.py::test_norm_list_of_boxes": LISTS,
    "test_numpy.py::test_c_": INDEXER,
    "test_numpy.py::test_c_mixed": INDEXER,
    "test_numpy.py::test_cast_to_int": "np.int64(tensor) is refused, as its gradient would be lost",
    "test_numpy.py::test_mean_list_of_boxes": LISTS,
    "test_numpy.py::test_r_basic": INDEXER,
    "test_numpy.py::test_r_double": INDEXER,
    "test_numpy.py::test_r_mixed": INDEXER,
    "test_numpy.py::test_r_node_and_const": INDEXER,
    "test_numpy.py::test_r_slicing": INDEXER,
    "test_numpy.py::test_simple_append_list_2D": LISTS,
    "test_numpy.py::test_std_list_of_boxes": LISTS,
    "test_numpy.py::test_var_list_of_boxes": LISTS,
}


class Record:
    """What became of each test, for pytest to fill."""

    def __init__(self, count: Counter[str], different: dict[str, str]) -> None:
        self.count, self.different = count, different  # of the shim; of the suite
        self.outcomes: dict[str, tuple[str, str]] = {}  # test -> (what, why)
        self.gradients = 0

    def pytest_runtest_setup(self) -> None:
        self.count.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any) -> Iterator[None]:
        report = yield
        if report.when == "call" or not report.passed:
            name = item.nodeid.removeprefix("tests/")
            self.outcomes[name] = self.outcome(name, report)
        if report.when == "call":
            self.gradients += self.count["gradients"]
        return report

    def pytest_collectreport(self, report: Any) -> None:
        if not report.passed:  # the whole file
            self.outcomes[report.nodeid.removeprefix("tests/")] = self.outcome("", report)

    def outcome(self, name: str, report: Any) -> tuple[str, str]:
        if report.skipped:
            return "absent", report.longrepr[2].removeprefix("Skipped: ").removeprefix("absent: ")
        reached, left_out = self.count["reached"], self.count["complex"]
        if report.when == "call" and not reached:
            return ("absent", "complex numbers") if left_out else ("never reached", "")
        if report.passed:
            return "passed for real numbers" if left_out else "passed", ""
        if name in self.different:
            return "different", self.different[name]
        crash = getattr(report.longrepr, "reprcrash", None)
        return "failed", (crash.message if crash else report.longreprtext).splitlines()[0]


def run(source: Path) -> Record:
    """The tests of the unpacked source distribution, on the shim."""
    sys.path.insert(0, str(HERE / "shims"))
    shim = import_module(f"{source.name.split('-')[0]}.shim")
    shim.prepare(source)
    record = Record(shim.count, DIFFERENT.get(source.name, {}))
    settings = source / "pytest.ini"
    settings.write_text("[pytest]\n", encoding="utf-8")  # not those of theirs, nor ours
    pytest.main(
        ["-q", "--tb=short", "-p", "no:cacheprovider", "-c", str(settings), str(source / "tests")],
        plugins=[record],
    )
    return record


def unpacked(archive: Path) -> Path:
    """The folder in the archive, beside it, if the archive is the one that was pinned."""
    name = archive.name.removesuffix(".tar.gz")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if SHA256.get(name) != found:
        raise SystemExit(f"{archive.name}: SHA-256 {found}, expected {SHA256.get(name)}")
    with tarfile.open(archive) as packed:
        packed.extractall(archive.parent, filter="data")
    return archive.parent / name


def table(suite: str, record: Record) -> dict[str, Any]:
    """The result, as it is written."""
    tests: dict[str, Any] = {}
    for kind in ("passed", "passed for real numbers", "never reached"):
        tests[kind] = sorted(name for name, (what, _) in record.outcomes.items() if what == kind)
    for kind in ("absent", "different", "failed"):
        reasons: dict[str, list[str]] = {}
        for name, (what, why) in sorted(record.outcomes.items()):
            if what == kind:
                reasons.setdefault(why, []).append(name)
        tests[kind] = dict(sorted(reasons.items()))
    counts = dict.fromkeys(tests, 0)
    for what, _ in record.outcomes.values():
        counts[what] += 1
    return {
        "sha256": SHA256.get(suite),
        "counts": counts,
        "gradients": record.gradients,
        "tests": tests,
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba", "hypothesis")},
        "python": sys.version.split()[0],
    }


def told(tests: dict[str, Any], *kinds: str) -> dict[str, tuple[str, str]]:
    """Of what was written: test -> (what became of it, why)."""
    found: dict[str, tuple[str, str]] = {}
    for kind in kinds or tests:
        reasons = tests[kind] if isinstance(tests[kind], dict) else {"": tests[kind]}
        for why, names in reasons.items():
            found |= dict.fromkeys(names, (kind, why))
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a source distribution, or a folder, unpacked")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    source = asked.source if asked.source.is_dir() else unpacked(asked.source)
    record = run(source)
    result = table(source.name, record)
    written = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    both = json.dumps(written | {source.name: result}, indent=1)
    asked.out.write_text(both + "\n", encoding="utf-8")
    print(json.dumps(result["counts"], indent=1))
    for name in sorted(set(record.different) - set(told(result["tests"], "different"))):
        print(f"{name} is called different, and did not fail this time")
    return int(not record.outcomes or bool(result["counts"]["failed"]))


if __name__ == "__main__":
    raise SystemExit(main())
