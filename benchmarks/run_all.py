"""Everything measured on this processor: run the scripts of this folder, and keep what they found
in results/<processor>.json.

    python benchmarks/run_all.py [--full] [--only steps gemm ...] [--json FILE]

which is ``minigrad-ae bench``.  The file holds a part for each script, with the versions, the date
and how busy others kept the machine meanwhile; a script that is not run leaves its part as it is.
`python benchmarks/report.py` then brings README's tables up to date.  A loss or a product that does
not agree with its reference is an error: exit code 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.goals import table, table_rows
from benchmarks.machine import company, machine
from minigrad_ae.cli.processor import described, slug
from minigrad_ae.files import write_text

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
QUICK = {  # part: script and options; about ten minutes
    "steps": ("bench_steps.py", "--quick", "--threads", "1", "--rounds", "11"),
    "scaling": ("bench_scaling.py", "--rounds", "5", "--budget", "1.5"),
    "gemm": ("bench_gemm.py", "--rounds", "11"),
    "grid": ("bench_grid.py",),
    "whole": ("bench_whole.py", "--rounds", "2"),
}
FULL = {
    "steps": ("bench_steps.py", "--rounds", "21"),
    "scaling": ("bench_scaling.py", "--rounds", "15", "--budget", "4"),
    "gemm": ("bench_gemm.py",),
    "grid": ("bench_grid.py", "--rounds", "11"),
    "whole": ("bench_whole.py", "--rounds", "7"),
    "kernels": ("bench_kernels.py",),
    "deep": ("bench_mnist_deep.py",),
    "vae": ("bench_mnist_vae.py",),
    "masked": ("bench_mnist_masked.py",),
}


def run(script: str, *options: str) -> dict[str, Any] | None:
    """What a script measured, and in what company; None where it failed."""
    print(f"\n== {script} {' '.join(options)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "measured.json"
        command = [sys.executable, str(FOLDER / script), *options, "--json", str(report)]
        with company() as others:
            done = subprocess.run(command, check=False)
        if done.returncode:
            return None
        measured = json.loads(report.read_text(encoding="utf-8"))
    here = machine()
    del here["processor"]
    line = " ".join(["python", f"benchmarks/{script}", *options])
    return {"command": line, **here, **others, "measured": measured}


def kept(processor: dict[str, Any]) -> Path:
    return RESULTS / f"{slug(processor)}.json"


def make(full: bool = False, destination: Path | None = None, only: list[str] | None = None) -> int:
    """Run the scripts, keep what they found, print it beside the goals; 1 if a script failed.

    full : all the scripts, not the quick ones alone.
    destination : a second file for everything that is known of this processor.
    """
    processor = machine()["processor"]
    file = kept(processor)
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"parts": {}}
    found |= {"processor": processor}
    print(described(processor))
    failed = []
    for part, (script, *options) in (FULL if full else QUICK).items():
        if only and part not in only:
            continue
        measured = run(script, *options)
        if measured is None:
            failed.append(script)
            continue
        found["parts"][part] = measured
        RESULTS.mkdir(exist_ok=True)
        write_text(file, json.dumps(found, indent=1) + "\n")
    print("\n" + table(table_rows({name: p["measured"] for name, p in found["parts"].items()})))
    for script in failed:
        print(f"{script} failed: see its message above; what was measured earlier is kept")
    print(f"{file}\npython benchmarks/report.py puts it into the README")
    if destination:
        write_text(destination, json.dumps(found, indent=1) + "\n")
    return int(bool(failed))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about ten minutes: the default")
    parser.add_argument("--full", action="store_true", help="also two threads, and MNIST: hours")
    parser.add_argument("--only", nargs="+", choices=list(FULL), help="these parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="a second file for the results")
    options = parser.parse_args()
    return make(options.full, options.json, options.only)


if __name__ == "__main__":
    sys.exit(main())
