"""``minigrad-ae doctor``: what is installed, and what is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
from pathlib import Path

from ..version import __version__
from .processor import described, processor

HELP = "what is installed, and what is missing"
OPTIONS: dict[str, dict[str, str]] = {}
PACKAGES = {
    "numpy": "needed",
    "numba": "needed",
    "matplotlib": "needed",
    "tqdm": "needed",
    "pytest": "for the tests",
    "autograd": "for benchmarks",
    "torch": "for benchmarks",
    "jax": "for benchmarks",
    "pytensor": "for benchmarks",
}


def doctor(args: argparse.Namespace, rest: list[str]) -> int:
    """What is installed and what is missing: versions, kernels, data, lessons."""
    from ..kernels.jit import damaged_files
    from ..kernels.report import info
    from ..teaching.lesson import lesson_files, lessons_folder

    print(f"minigrad_ae {__version__} in {Path(__file__).parent.parent}")
    print(f"Python {platform.python_version()} on {platform.platform()}")
    print(f"processor: {described(processor())}")
    missing, damaged = [], []
    for package, role in PACKAGES.items():
        try:
            print(f"  {package:<12} {importlib.metadata.version(package):<12} {role}")
        except importlib.metadata.PackageNotFoundError:
            print(f"  {package:<12} {'missing':<12} {role}")
            missing += [package] if role == "needed" else []
    if not missing:
        kernels = info()
        cache = kernels["cache"] or "nowhere: each process compiles them again"
        print(
            f"kernels: {kernels['backend']}, {kernels['threads']} thread(s), vectors "
            f"{kernels['vectors']}, compiled once into {cache}"
        )
        damaged = damaged_files(kernels["cache"]) if kernels["cache"] else []
        for path in damaged:
            print(f"  damaged: {path}\n  fix: remove it, or let the next run replace it")
    print(f"lessons: {len(lesson_files())} in {lessons_folder()}")
    print(f"MNIST: {_mnist()}")
    if missing:
        print(f"missing: {', '.join(missing)}\n  fix: pip install {' '.join(missing)}")
    return int(bool(missing or damaged))


def _mnist() -> str:
    """Where MNIST is, or how to get it."""
    from ..data.mnist_files import folder_of, is_there

    folder = folder_of(None)
    if is_there():
        return str(folder)
    return (
        f"not in {folder}; minigrad-ae data mnist fetches it, everything else runs on the "
        "shipped digits"
    )
