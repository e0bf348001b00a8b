"""Is a linear autoencoder certified as PCA, whatever the matrix?

    python benchmarks/bench_fits.py --out benchmarks/results/fits.json        (or: nox -s fits)

Matrices with a known spectrum in a random rotation: eigenvalues of X^T X from 1 to 1 / ratio, a
relative gap behind the M-th (0: a tie), M from 1 to D, more rows than columns and fewer, float64
and float32, several seeds.  Each is trained by `LinearAutoencoder.fit` with its defaults and judged
by `certify_pca`: loss, angle, gradient, curvature.  So are tables of scikit-learn, where it is
installed, at every M.  One thread; the times hold on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

import minigrad_ae as mg  # noqa: E402

SIZES = ((8, 100), (20, 12), (64, 2000))  # (D, N)
RATIOS = (1.0, 1e3, 1e6, 1e9, 1e12)
GAPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 0.0)
SEEDS = range(5)


def matrix(n: int, D: int, variances: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((n, len(variances))))[0]
    V = np.linalg.qr(rng.standard_normal((D, D)))[0][:, : len(variances)]
    return (U * np.sqrt(variances)) @ V.T


def spectrum(D: int, M: int, gap: float, ratio: float) -> np.ndarray:
    s = np.geomspace(1, 1 / ratio, D)
    if M < D:
        s[M:] = s[M - 1] * (1 - gap) * np.geomspace(1, max(1e-3, 1 / ratio), D - M)
    return s


def cases() -> list[dict[str, Any]]:
    return [
        {"D": D, "N": N, "M": M, "ratio": ratio, "gap": gap, "dtype": dtype, "seed": seed}
        for dtype in ("float64", "float32")
        for D, N in SIZES
        for M in sorted({1, 2, D // 3, D // 2, D - 1, D})
        if M < N
        for ratio in RATIOS
        for gap in GAPS
        for seed in SEEDS
    ]


def measured(case: dict[str, Any]) -> dict[str, Any]:
    D, N, M = case["D"], case["N"], case["M"]
    s = spectrum(D, M, case["gap"], case["ratio"])[: min(N - 1, D)]
    X = (1.0 + matrix(N, D, s, case["seed"])).astype(case["dtype"])
    rng = np.random.default_rng(case["seed"] + 100)
    model = mg.models.LinearAutoencoder(D, M, rng=rng, dtype=case["dtype"])
    began = time.perf_counter()
    report = model.fit(X)
    seconds = time.perf_counter() - began
    return {
        **case,
        "certified": bool(mg.certify_pca(model, X)),
        "evaluations": report.evaluations,
        "seconds": round(seconds, 3),
    }


def tables() -> dict[str, Any]:
    """{name: rows and columns, how many M are certified, evaluations at most}."""
    try:
        from sklearn import datasets
    except ImportError:
        return {}
    linnerud = datasets.load_linnerud()
    data = {
        "iris": datasets.load_iris().data,
        "diabetes": datasets.load_diabetes().data,
        "diabetes, raw": datasets.load_diabetes(scaled=False).data,
        "linnerud, exercise": linnerud.data,
        "linnerud, physiological": linnerud.target,
        "linnerud, both": np.hstack([linnerud.data, linnerud.target]),
        "wine": datasets.load_wine().data,
        "breast cancer": datasets.load_breast_cancer().data,
    }
    return {name: _every_latent(X) for name, X in data.items()}


def _every_latent(X: np.ndarray) -> dict[str, Any]:
    certified, evaluations = 0, 0
    for M in range(1, X.shape[1] + 1):
        model = mg.models.LinearAutoencoder(X.shape[1], M, rng=np.random.default_rng(M))
        evaluations = max(evaluations, model.fit(X).evaluations)
        certified += bool(mg.certify_pca(model, X))
    return {"shape": list(X.shape), "certified": certified, "most evaluations": evaluations}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows = [measured(case) for case in cases()]
    failed = [row for row in rows if not row["certified"]]
    found = {
        "machine": f"{platform.machine()}, {platform.processor() or 'processor not named'}",
        "fits": len(rows),
        "certified": len(rows) - len(failed),
        "most evaluations": max(row["evaluations"] for row in rows),
        "median evaluations": float(np.median([row["evaluations"] for row in rows])),
        "longest, seconds": max(row["seconds"] for row in rows),
        "hardest": sorted(rows, key=lambda row: -row["evaluations"])[:5],
        "failed": failed,
        "tables": tables(),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    wrong = [t for t in found["tables"].values() if t["certified"] < t["shape"][1]]
    return int(bool(failed or wrong))


if __name__ == "__main__":
    sys.exit(main())
