"""What is checked before a change is taken, each in an environment of its own: ``nox -l`` lists it.

``nox`` alone runs lint and types (a minute); ``nox -s tests-3.12`` the suite on one Python.  What
follows ``--`` goes to pytest: ``nox -s lowest -- tests/test_core.py``.
"""

from __future__ import annotations

import configparser
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
QUIET = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}

# PyTensor asks for an older Numba than the kernels', and runs with theirs.
PYTENSOR = "pytensor scipy filelock cons etuples miniKanren logical-unification toolz".split()
PYTENSOR += ["multipledispatch"]

nox.options.sessions = ["lint", "types"]
nox.options.error_on_missing_interpreters = False


def setting(section: str, name: str) -> list[str]:
    """The lines of a value in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup[section][name].split("\n")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite, once per Python."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-q", *session.posargs, env=QUIET)


@nox.session
def numpy_kernels(session: nox.Session) -> None:
    """The suite with the NumPy definitions instead of the compiled kernels."""
    session.install("-e", ".[test]")
    env = {**QUIET, "MINIGRAD_AE_KERNELS": "numpy"}
    session.run("python", "-m", "pytest", "-q", *session.posargs, env=env)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The oldest Python with the lowest version of each package that setup.cfg allows; any warning
    is an error.
    """
    bounds = [line for line in setting("options", "install_requires") if line]
    session.install(*(bound.replace(">=", "==") for bound in bounds))
    session.install("-e", ".[test]")
    session.run("python", "-W", "error", "-m", "pytest", "-q", *session.posargs, env=QUIET)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and form."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Type hints."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def lessons(session: nox.Session) -> None:
    """Every lesson in its short form, as the README's first block runs them."""
    session.install("-e", ".")
    out = session.create_tmp()
    command = ["python", "-m", "minigrad_ae", "lesson", "all", "--fast", "--out", out]
    session.run(*command, env=QUIET)


@nox.session
def notebooks(session: nox.Session) -> None:
    """The notebook of every lesson, executed in its short form; a summary, one line each."""
    session.install("-e", ".[notebook]")
    session.run("python", "tests/notebooks.py", *session.posargs, env=QUIET)


@nox.session
def wheel(session: nox.Session) -> None:
    """The wheel, outside the checkout: what a user installs."""
    folder = Path(session.create_tmp()).resolve()
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    session.install(str(built))
    with session.chdir(folder):
        session.run("minigrad-ae", "doctor")
        session.run("minigrad-ae", "lesson", "1", "--fast", "--out", "figures", env=QUIET)


@nox.session
def sdist(session: nox.Session) -> None:
    """The source distribution, unpacked: the tests that read files of the tree pass in it."""
    session.install("build", "pytest>=8")
    folder = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--sdist", "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("*.tar.gz")
    session.run("python", "-m", "tarfile", "-e", str(built), str(folder))
    with session.chdir(folder / built.name.removesuffix(".tar.gz")):
        session.install("-e", ".[test]")
        reading = ("packaging", "core", "architecture", "frozen")
        chosen = session.posargs or [f"tests/test_{name}.py" for name in reading]
        session.run("python", "-m", "pytest", "-q", *chosen, env=QUIET)


@nox.session
def torch(session: nox.Session) -> None:
    """The public functions beside PyTorch's: values, first and second derivatives, ties."""
    session.install("-e", ".[test]", "torch")
    beside = ["tests/test_against_torch.py", "tests/test_optim_against_others.py"]
    chosen = session.posargs or beside
    session.run("python", "-m", "pytest", "-q", *chosen, env=QUIET)


@nox.session
def fuzz(session: nox.Session) -> None:
    """10,000 random programs beside complex steps, PyTorch, their kernels, their compiled form and
    float32; what disagrees, in tests/fuzz.json (half an hour; `-- 2000 --seed 7`: fewer, others).
    """
    session.install("-e", ".[test]", "torch")
    session.run("python", "tests/fuzz.py", *session.posargs, env=QUIET)


@nox.session(name="fuzz-mutants")
def fuzz_mutants(session: nox.Session) -> None:
    """Every small edit of every rule: how many do 200 random programs find?  In
    tests/fuzz_mutants.json (half an hour; `-- --sample 300`: fewer).
    """
    session.install("-e", ".[test]")
    session.run("python", "tests/fuzz_mutants.py", *session.posargs, env=QUIET)


@nox.session
def suites(session: nox.Session) -> None:
    """HIPS autograd's and MyGrad's own tests on minigrad_ae: what passes, fails or is absent, by
    name, in tests/suites.json (two minutes; fetched from the package index).
    """
    session.install("-e", ".[test]")
    folder = session.create_tmp()
    for suite in ("autograd==1.9.1", "mygrad==1.0.4"):
        name = suite.split("==")[0]
        source = ["--no-deps", "--no-binary", name, "--dest", folder, suite]
        session.run("python", "-m", "pip", "download", "--quiet", *source)
        archive = Path(folder) / f"{suite.replace('==', '-')}.tar.gz"
        session.run("python", "tests/suites.py", str(archive), *session.posargs, env=QUIET)


@nox.session
def fits(session: nox.Session) -> None:
    """Linear autoencoders on matrices of any spectrum, each certified as PCA or not (minutes)."""
    session.install("-e", ".", "scikit-learn")
    session.run("python", "benchmarks/bench_fits.py", "--out", "benchmarks/results/fits.json")


@nox.session
def seeds(session: nox.Session) -> None:
    """The ledger at seeds 0 ... 49, in its short form (``-- --full`` for the long one): at how many
    of them each claim holds, in benchmarks/results/seeds.json (minutes).
    """
    session.install("-e", ".")
    session.run("python", "tests/seeds.py", *session.posargs, env=QUIET)


@nox.session
def kill(session: nox.Session) -> None:
    """300 SIGKILLs and 100 SIGTERMs over all models and optimisers, and more during lessons: what
    is lost, in tests/kill.json (half an hour).
    """
    session.install("-e", ".")
    one = {**QUIET, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    session.run("python", "tests/kill.py", *session.posargs, env=one)


@nox.session
def flat(session: nox.Session) -> None:
    """Memory and file handles over 5,000 steps, eager, compiled and kept, in tests/flat.json
    (minutes).
    """
    session.install("-e", ".")
    session.run("python", "tests/flat.py", *session.posargs, env=QUIET)


@nox.session
def lines(session: nox.Session) -> None:
    """Random command lines, thousands in one process and some processes: no traceback, no hang;
    what was found, in tests/command_lines.json (minutes; `-- --lines 2000`: fewer).
    """
    session.install("-e", ".")
    session.run("python", "tests/command_lines.py", *session.posargs, env=QUIET)


@nox.session
def drag(session: nox.Session) -> None:
    """What a drag of the page's graph costs a browser, at 500 nodes, and 10,000 steps, in
    tests/drag.json (a minute; needs chromium and chromium-driver).
    """
    session.install("-e", ".[test]")
    session.run("python", "tests/drag.py", *session.posargs, env=QUIET)


@nox.session
def docs(session: nox.Session) -> None:
    """The page of the public API, in docs/_build; a warning of Sphinx is an error."""
    session.install("-e", ".[docs]")
    session.run(
        "sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build", env=QUIET
    )


@nox.session
def bench(session: nox.Session) -> None:
    """This processor beside the peers, about ten minutes: benchmarks/results/<processor>.json and
    README's tables.
    """
    session.install("-e", ".[bench]")
    session.install("--no-deps", *PYTENSOR)
    session.run("python", "benchmarks/run_all.py", *session.posargs)
    session.run("python", "benchmarks/report.py")


@nox.session
def gate(session: nox.Session) -> None:
    """Whether steps became slower than at a commit (`-- COMMIT`; HEAD~1)."""
    session.install("-e", ".")
    session.run("python", "benchmarks/gate.py", *(session.posargs or ["HEAD~1"]))


@nox.session
def coverage(session: nox.Session) -> None:
    """Which branches the tests take, with NumPy definitions: compiled loops cannot be watched."""
    session.install("-e", ".[test]", "coverage")
    env = {**QUIET, "MINIGRAD_AE_KERNELS": "numpy"}
    watched = ["coverage", "run", "--branch", "--source=minigrad_ae", "-m", "pytest", "-q"]
    session.run(*watched, *session.posargs, env=env)
    session.run("coverage", "report", "--skip-covered", "--show-missing")


@nox.session
def mutants(session: nox.Session) -> None:
    """One fault in every computing line of models, layers and optimisers: which do the tests and
    claims notice?  (an hour or two; `-- --sample 100` or `-- --module models/linear.py`: less)
    """
    session.install("-e", ".[test]", "coverage")
    one = {**QUIET, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    session.run("python", "tests/mutants.py", *session.posargs, env=one)
