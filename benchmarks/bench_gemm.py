"""Matrix products against OpenBLAS (through NumPy) and, where installed, torch: GF/s and ratios.

    taskset -c 1 python benchmarks/bench_gemm.py --json gemm.json            one thread
    python benchmarks/bench_gemm.py --threads 2 --json gemm2.json            two threads

Contenders take turns in one process; each product is checked before it is timed; a ratio is the
median over rounds of (their time / our time), so that a disturbance hits both.  ``best`` is the
ratio of the two shortest times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

SHAPES = [
    (64, 64, 32),
    (128, 128, 64),
    (100, 784, 512),
    (256, 512, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
]
BATCHED = (256, 17, 16, 17)


def timed(function, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def duel(ours, theirs, flops, rounds):
    """Interleaved: ``{gflops, theirs_gflops, ratio (median), best}``, > 1 means that ours is
    faster.
    """
    repeats = max(1, int(2e6 / flops))
    times = [(timed(ours, repeats), timed(theirs, repeats)) for _ in range(rounds)]
    ratios = sorted(b / a for a, b in times)
    mine, other = (min(t[i] for t in times) for i in (0, 1))
    return {
        "gflops": flops / mine / 1e9,
        "theirs_gflops": flops / other / 1e9,
        "ratio": ratios[len(ratios) // 2],
        "best": other / mine,
    }


def operands(np, kind, shape, dtype, rng):
    m, k, n = shape
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    return np.asfortranarray(a) if kind == "TN" else a, np.asfortranarray(b) if kind == "NT" else b


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=41)
    options = parser.parse_args(argv)
    # read by the libraries when they are loaded
    if os.environ.get("OPENBLAS_NUM_THREADS") != str(options.threads):
        os.environ.update(
            OPENBLAS_NUM_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads)
        )
        os.execv(sys.executable, [sys.executable, __file__, *(argv or sys.argv[1:])])
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import numpy as np

    import minigrad_ae.kernels as kernels

    kernels.set_num_threads(options.threads)
    rng, rows = np.random.default_rng(0), []
    for dtype in ("float32", "float64"):
        for kind in ("NN", "TN", "NT"):
            for shape in SHAPES:
                flops = 2.0 * shape[0] * shape[1] * shape[2]
                if options.threads > 1 and flops < 1e7:
                    continue
                a, b = operands(np, kind, shape, dtype, rng)
                bound = shape[1] * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b))
                assert np.all(np.abs(kernels.matmul(a, b) - a @ b) <= 2 * bound)
                rounds = options.rounds if flops < 1e9 else max(5, options.rounds // 4)
                row = duel(
                    lambda a=a, b=b: kernels.matmul(a, b), lambda a=a, b=b: a @ b, flops, rounds
                )
                rows.append(
                    {"kernel": "matmul", "dtype": dtype, "kind": kind, "shape": shape} | row
                )
                report(f"{dtype} {kind} {shape!s:20}", row)
            means = (
                f"{key} {geomean(np, rows, dtype, kind, key):.3f}" for key in ("ratio", "best")
            )
            print("   geometric mean", *means)
        for kind in ("NN", "NT"):
            batch, m, k, n = BATCHED
            a, b = (
                rng.standard_normal((batch, m, k)).astype(dtype),
                rng.standard_normal((batch, k, n)).astype(dtype),
            )
            b = np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2) if kind == "NT" else b
            assert np.allclose(kernels.batched_matmul(a, b), a @ b, rtol=1e-4, atol=1e-4)
            work = 2.0 * batch * m * k * n
            row = duel(
                lambda a=a, b=b: kernels.batched_matmul(a, b),
                lambda a=a, b=b: a @ b,
                work,
                options.rounds,
            )
            rows.append({"kernel": "batched", "dtype": dtype, "kind": kind, "shape": BATCHED} | row)
            report(f"{dtype} {kind} batched", row)
    if options.json:
        machine = {
            "machine": platform.machine(),
            "threads": options.threads,
            "numpy": np.__version__,
        }
        options.json.write_text(
            json.dumps(machine | {"against": "OpenBLAS", "rows": rows}, indent=1) + "\n",
            encoding="utf-8",
        )


def report(label, row):
    print(
        f"{label} {row['gflops']:6.1f} GF/s  ratio {row['ratio']:.2f} best {row['best']:.2f}",
        flush=True,
    )


def geomean(np, rows, dtype, kind, key):
    values = [
        r[key] for r in rows if (r["kernel"], r["dtype"], r["kind"]) == ("matmul", dtype, kind)
    ]
    return float(np.exp(np.mean(np.log(values))))


if __name__ == "__main__":
    main()
