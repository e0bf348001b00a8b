"""The command line: ``python -m minigrad_ae`` = ``minigrad-ae``.

Each command is a module with a function of its name, ``HELP`` (a line) and ``OPTIONS``.

Exit code 0: all well; 1: a claim or a check failed; 2: wrong use, in three lines and never with a
traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..command_line import Parser, spell_out
from ..errors import MinigradError
from ..version import __version__
from . import bench, data, doctor, exercise, inspect, lesson, notebook, runs, train, verify


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
    """Parse and run; every error that a user can cause is reported in three lines."""
    spell_out()
    parser = build_parser()
    words = list(sys.argv[1:] if argv is None else argv)
    own = words.index("--") if words[:1] == ["inspect"] and "--" in words else len(words)
    args, rest = parser.parse_known_args(words[:own])
    if rest and args.handler is not lesson.lesson:
        parser.error(f"unknown argument {rest[0]!r}")
    rest += words[own + 1 :]  # those of the inspected script
    args.words = words
    try:
        return int(args.handler(args, rest))
    except MinigradError as error:
        print(f"minigrad-ae: {error}", file=sys.stderr)
    except BrokenPipeError:
        raise
    except MemoryError as error:
        print(
            "minigrad-ae: this machine does not have enough memory\n  "
            f"{error or 'no more can be allocated'}\n"
            "  fix: choose smaller sizes (units, batches, data)",
            file=sys.stderr,
        )
    except OSError as error:
        print(
            f"minigrad-ae: {error.strerror or error}\n  {error.filename or 'input or output'}\n"
            "  fix: check the path, its permissions and the space on the disk",
            file=sys.stderr,
        )
    except KeyboardInterrupt as stop:
        print("minigrad-ae: interrupted", file=sys.stderr)
        return runs.code_of(stop)
    return 2


def _nobody_reads() -> int:
    """Discard what is still to be flushed; returns the exit code that a shell reports for a program
    ended by SIGPIPE.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    return 128 + 13


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(
        prog="minigrad-ae", description="Autoencoders from scratch, checked against exact answers."
    )
    parser.add_argument("--version", action="version", version=f"minigrad-ae {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    for module in (lesson, exercise, notebook, verify, inspect, train, data, bench, doctor):
        name = module.__name__.rpartition(".")[2]
        # a lesson prints the help of its own options
        command = commands.add_parser(name, help=module.HELP, add_help=module is not lesson)
        _add_options(command, module.OPTIONS)
        command.set_defaults(handler=getattr(module, name))
    return parser


def _add_options(parser: Any, options: Mapping[str, Any]) -> None:
    """{names: arguments of `add_argument`}; of those under "either" at most one may be given."""
    for names, settings in options.items():
        if names == "either":
            _add_options(parser.add_mutually_exclusive_group(), settings)
        else:
            parser.add_argument(*names.split(), **settings)
