"""The command line: ``python -m minigrad_ae`` = ``minigrad-ae``.

Exit code 0: all well; 1: a claim or a check failed; 2: wrong use, in three lines and never with a traceback.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import __version__
from . import train as train_command
from ..files import can_be_written
from ..errors import DataError, MinigradError
from . import inspect as inspect_command
from ..arguments import Parser, seed, spell_out

Handler = Callable[[argparse.Namespace, list[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        try:
            return _run_command(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has gone (``| head -1``): nothing more to say
        return _nobody_reads()


def _run_command(argv: Sequence[str] | None) -> int:
    """Parse and run; every error that a user can cause is said in three lines."""
    spell_out()
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and args.handler is not lesson:
        parser.error(f"unknown argument {rest[0]!r}")
    try:
        return int(args.handler(args, rest))
    except MinigradError as error:
        print(f"minigrad-ae: {error}", file=sys.stderr)
    except BrokenPipeError:
        raise
    except MemoryError as error:
        print(f"minigrad-ae: the memory of this machine does not suffice\n  {error or 'no more is to be had'}\n"
              "  fix: choose smaller sizes (units, batches, data)", file=sys.stderr)  # fmt: skip
    except OSError as error:
        print(f"minigrad-ae: {error.strerror or error}\n  {error.filename or 'input or output'}\n"
              "  fix: check the path, its permissions and the space on the disk", file=sys.stderr)  # fmt: skip
    except KeyboardInterrupt:
        print("minigrad-ae: interrupted", file=sys.stderr)
        return 130
    return 2


def _nobody_reads() -> int:
    """Send what is still to be flushed nowhere; the exit code is what a shell gives a program that SIGPIPE ended."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    return 128 + 13


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(prog="minigrad-ae", description="Autoencoders from scratch, checked against exact answers.")
    parser.add_argument("--version", action="version", version=f"minigrad-ae {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    p = commands.add_parser("lesson", help="run a lesson: 'list', a number, or 'all'", add_help=False)
    p.add_argument("which", nargs="?", default="list")
    p.set_defaults(handler=lesson)

    p = commands.add_parser("verify", help="read the whole ledger, or certify your own matrix")
    size = p.add_mutually_exclusive_group()
    size.add_argument("--fast", action="store_true", help="the same claims from smaller runs")
    size.add_argument("--full", action="store_true", help="with --sabotage: every bug against every claim (minutes)")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    p.add_argument("--sabotage", action="store_true", help="plant each claim's bug and see it caught")
    p.add_argument("--data", metavar="X.npy", help="train a linear autoencoder on this matrix and certify it as PCA")
    p.add_argument("--latent", type=int, metavar="M", help="with --data: the number of latent units")
    p.set_defaults(handler=verify)

    inspect_command.add_parser(commands)
    train_command.add_parser(commands)

    p = commands.add_parser("data", help="fetch a data set that is not shipped: mnist")
    p.add_argument("which", choices=["mnist"])
    p.add_argument("--root", type=Path, metavar="DIR", help="where to put it (the cache)")
    p.add_argument("--mirror", metavar="URL", help="where to get it from")
    p.set_defaults(handler=data)

    p = commands.add_parser("bench", help="time the kernels and training steps against other libraries (in a checkout)")
    p.add_argument("--full", action="store_true", help="also two threads, matrix products and single kernels (minutes)")
    p.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured as JSON")
    p.set_defaults(handler=bench)

    commands.add_parser("doctor", help="what is installed, and what is missing").set_defaults(handler=doctor)
    return parser


def lesson(args: argparse.Namespace, rest: list[str]) -> int:
    """List the lessons, or run one or all of them in this process."""
    from ..teaching import lesson as classroom

    files = classroom.lesson_files()
    if args.which in ("-h", "--help") or "--help" in rest or "-h" in rest:
        classroom.options("minigrad-ae lesson N|all|list").parse_args(["--help"])
    if args.which == "list":
        for path in files:
            print(f"{int(path.stem[:2]):>3}  {path.stem[3:].replace('_', ' '):<32} {path}")
        return 0
    chosen = files if args.which == "all" else [p for p in files if args.which in (p.stem, p.stem[:2], str(int(p.stem[:2])))]
    if not chosen:
        raise DataError(
            f"there is no lesson {args.which!r}",
            f"lessons: {', '.join(str(int(p.stem[:2])) for p in files) or 'none found'}",
            "minigrad-ae lesson list shows them; 'all' runs all of them",
        )
    start, codes = time.perf_counter(), []
    for path in chosen:
        codes.append(_run(path, rest))
    if len(chosen) > 1:
        failed = [p.stem for p, code in zip(chosen, codes, strict=True) if code]
        verdict = f"claims fail in {', '.join(failed)}" if failed else "every claim holds"
        print(f"\n{len(chosen)} lessons in {time.perf_counter() - start:.0f} s: {verdict}")
    return max(codes)


def _run(path: Path, argv: list[str]) -> int:
    """Run a lesson's script in this process, as ``python path *argv`` would; returns its exit code."""
    before, sys.argv = sys.argv, [str(path), *argv]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as stop:
        if stop.code == 2:  # wrong use ends everything
            raise
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0


def verify(args: argparse.Namespace, rest: list[str]) -> int:
    """Read the ledger; with --sabotage each claim under its own bug; with --data certify a matrix."""
    from ..claims import Run, ledger

    if args.data is not None:
        if args.sabotage or args.full:
            wrong = "--sabotage" if args.sabotage else "--full"
            told = "--data certifies one matrix; the ledger is not read"
            raise DataError(f"{wrong} with --data", told, f"leave out {wrong}")
        return certify(args)
    if args.latent is not None:
        raise DataError("--latent without --data", f"--latent {args.latent}", "name the matrix: --data X.npy")
    _writable(args.json)
    run = Run(fast=args.fast, full=args.full, seed=args.seed)
    if args.sabotage:
        rows = ledger.matrix(run) if args.full else ledger.sabotage(run)
        if args.json:
            ledger.write_json(args.json, rows)
        return int(not all(r["caught"] for r in rows))
    results = ledger.verify(run)
    if args.json:
        ledger.write_results(args.json, results)
    return int(not all(r.passed for r in results))


def certify(args: argparse.Namespace) -> int:
    """Train a linear autoencoder on the columns-centred matrix and print its PCA certificate."""
    import numpy as np

    from ..claims.certificate import certify_pca, claims_of, demand_latent
    from ..claims import ledger
    from ..data import centre, load_matrix
    from ..models import LinearAutoencoder

    if args.latent is None:
        raise DataError("--data needs --latent", f"--data {args.data}", "say how many latent units: --latent 2")
    X = load_matrix(args.data).astype(np.float64)
    demand_latent(args.latent, X.shape)
    _writable(args.json)
    centred, mean = centre(X)
    print(f"{args.data}: {X.shape[0]} x {X.shape[1]}; columns centred (largest mean taken off {np.abs(mean).max():.4g})")
    print("training a linear autoencoder on it, by L-BFGS from random weights; PCA is computed apart, by SVD", flush=True)
    rng = np.random.default_rng(args.seed)
    model = LinearAutoencoder(X.shape[1], args.latent, bias=False, rng=rng)
    model.fit(centred)
    certificate = certify_pca(model, centred)
    print(certificate)
    if args.json:
        ledger.write_results(args.json, claims_of(certificate))
    return int(not certificate.passed)


def data(args: argparse.Namespace, rest: list[str]) -> int:
    """Fetch MNIST, or find that it is there."""
    from ..data.mnist_files import MIRROR, download

    for path in download(args.root, args.mirror or MIRROR):
        print(path)
    return 0


def bench(args: argparse.Namespace, rest: list[str]) -> int:
    """Run the benchmarks of a checkout."""
    from . import bench as bench_command

    _writable(args.json)
    return bench_command.bench(args, rest)


def doctor(args: argparse.Namespace, rest: list[str]) -> int:
    """What is installed and what is missing: versions, kernels, data, lessons."""
    from ..teaching import lesson as classroom
    from ..kernels import backend
    from ..kernels.jit import damaged_files

    print(f"minigrad_ae {__version__} in {Path(__file__).parent}")
    print(f"Python {platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores")
    missing, damaged = [], []
    for package, role in [
        ("numpy", "needed"), ("numba", "needed"), ("matplotlib", "needed"), ("tqdm", "needed"),
        ("pytest", "for the tests"), ("autograd", "for benchmarks"), ("torch", "for benchmarks"), ("jax", "for benchmarks"),
    ]:  # fmt: skip
        try:
            print(f"  {package:<12} {importlib.metadata.version(package):<12} {role}")
        except importlib.metadata.PackageNotFoundError:
            print(f"  {package:<12} {'missing':<12} {role}")
            missing += [package] if role == "needed" else []
    if not missing:
        kernels = backend.info()
        cache = kernels["cache"] or "nowhere: each process compiles anew"
        print(f"kernels: {kernels['backend']}, {kernels['threads']} thread(s), compiled once into {cache}")
        damaged = damaged_files(kernels["cache"]) if kernels["cache"] else []
        for path in damaged:
            print(f"  damaged: {path}\n  fix: remove it, or let the next run replace it")
    print(f"lessons: {len(classroom.lesson_files())} in {classroom.lessons_folder()}")
    print(f"MNIST: {_mnist()}")
    if missing:
        print(f"missing: {', '.join(missing)}\n  fix: pip install {' '.join(missing)}")
    return int(bool(missing or damaged))


def _mnist() -> str:
    """Where MNIST is, or how to get it."""
    from ..data.mnist_files import SHA256, folder_of

    folder = folder_of(None)
    if all((folder / name).is_file() or (folder / name.removesuffix(".gz")).is_file() for name in SHA256):
        return str(folder)
    return f"not in {folder}; minigrad-ae data mnist fetches it, everything else runs on the shipped digits"


def _writable(path: Path | None) -> None:
    """Refuse an output that cannot be written before the work is done, not after it."""
    if path is not None and not can_be_written(path):
        raise DataError("the output file cannot be written", f"--json {path}", "name a file in an existing folder")
