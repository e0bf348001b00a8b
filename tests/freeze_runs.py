"""Five training steps of every model, to the last bit: a program of public names alone.

    python tests/freeze_runs.py      prints {"machine", "package", "bits": {run: hash}} as JSON

Bits depend on the processor (the width of its vectors), on NumPy, Numba and BLAS: compare them on
one machine only.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad_ae as mg

STEPS = 5
BACKENDS = ("numba", "numpy")
DTYPES = ("float32", "float64")
SIZES = {
    "small": (6, 9, 4),
    "large": (80, 64, 48),
}  # batch, features, hidden units; kernels start at 64 to 2,048 elements


def machine() -> str:
    """All that bits depend on, besides the source: they are compared where this is the same."""
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    enabled = ",".join(sorted(name for name, on in features.items() if on))
    try:
        import llvmlite.binding as llvm
        import numba

        compiler = f"numba {numba.__version__}, {numba.config.CPU_NAME or llvm.get_host_cpu_name()}"
        compiler += ", plain Python" * bool(numba.config.DISABLE_JIT)
    except ImportError:
        compiler = "no numba"
    digest = hashlib.sha256(enabled.encode()).hexdigest()[:8]
    blas = os.environ.get("OPENBLAS_CORETYPE", "as found")
    system = f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}"
    return f"{system}; NumPy {np.__version__}, features {digest}; {compiler}; BLAS core {blas}"


def models(size: str, dtype: str) -> dict[str, Callable[[], Any]]:
    """A maker for each model of the chapter, and for its main variants."""
    _, D, H = SIZES[size]
    M, kinds = max(2, H // 6), mg.models
    common: dict[str, Any] = {"dtype": np.dtype(dtype)}

    def start() -> dict[str, Any]:
        return {**common, "rng": np.random.default_rng(1)}

    side = int(D**0.5)
    patch, width = (1, 4) if side == 3 else (2, 32)
    masked = {
        "width": width,
        "depth": 1,
        "heads": 2,
        "decoder_width": width,
        "decoder_depth": 1,
        "decoder_heads": 2,
    }
    return {
        "linear": lambda: kinds.LinearAutoencoder(D, M, l2=0.1, **start()),
        "linear, tied": lambda: kinds.LinearAutoencoder(D, M, tied=True, bias=False, **start()),
        "two-layer": lambda: kinds.TwoLayerAutoencoder(D, M, **start()),
        "deep": lambda: kinds.DeepAutoencoder(D, M, H, **start()),
        "deep, relu": lambda: kinds.DeepAutoencoder(D, M, H, activation="relu", **start()),
        "sparse": lambda: kinds.SparseAutoencoder(D, 2 * H, **start()),
        "sparse, decay": lambda: kinds.SparseAutoencoder(D, 2 * H, constraint="decay", **start()),
        "denoising": lambda: kinds.DenoisingAutoencoder(
            kinds.DeepAutoencoder(D, M, H, **start()), drop=0.3, sigma=0.2
        ),
        "masked": lambda: kinds.MaskedAutoencoder((side, side), patch, **masked, **start()),
        "masked, norm_pix": lambda: kinds.MaskedAutoencoder(
            (side, side),
            patch,
            norm_pix=patch > 1,
            class_token=True,
            positions="sincos",
            **masked,
            **start(),
        ),
        "linear VAE": lambda: kinds.LinearVAE(D, M, learn_sigma2=True, **start()),
        "VAE, Bernoulli": lambda: kinds.VariationalAutoencoder(D, M, hidden=(H,), **start()),
        "VAE, Gaussian": lambda: kinds.VariationalAutoencoder(
            D,
            M,
            hidden=(H, H),
            likelihood="gaussian",
            learn_sigma=True,
            n_samples=2,
            beta=0.5,
            **start(),
        ),
        "everything else": lambda: Everything(D, H, **start()),
    }


class Everything(mg.nn.Module):
    """The functions that no model uses, so that their kernels run too."""

    def __init__(
        self, n_features: int, n_hidden: int, rng: np.random.Generator, dtype: Any
    ) -> None:
        self.into = mg.nn.Linear(n_features, n_hidden, rng=rng, dtype=dtype)
        self.norm = mg.nn.LayerNorm(n_hidden, dtype=dtype)
        self.out = mg.nn.Linear(n_hidden, n_features, activation="sigmoid", rng=rng, dtype=dtype)

    def loss(self, x: Any, rng: np.random.Generator) -> Any:
        h = self.norm(mg.gelu(self.into(mg.tensor(x))))
        h = (
            mg.softplus(h) * mg.softmax(h)
            + mg.erf(h) * mg.gelu(h, "tanh")
            - mg.log_softmax(h) * mg.exp(-h * h)
        )
        h = mg.dropout(h, rng.random(h.shape) < 0.2, 0.2)
        rows = mg.take(h, np.arange(2 * len(x)) % len(x), axis=0)
        kept = rows.reshape(2, len(x), -1).mean(axis=0) + mg.tanh(h) * mg.sigmoid(h) + mg.relu(h)
        y = self.out(mg.attention(kept, kept, kept, np.tri(len(x), dtype=bool)))
        return ((y - x) ** 2).sum() - mg.logsumexp(h, axis=0).mean() + mg.var(h)


def optimisers(parameters: list[Any]) -> dict[str, Callable[[], Any]]:
    return {
        "Adam": lambda: mg.optim.Adam(parameters, lr=1e-2),
        "AdamW": lambda: mg.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1),
        "SGD": lambda: mg.optim.SGD(parameters, lr=1e-3, momentum=0.9),
    }


def trained(model: Any, optimiser: str, X: np.ndarray) -> str:
    """The hash of all parameters and losses after a few steps."""
    step, noise = optimisers(model.parameters())[optimiser](), np.random.default_rng(3)
    sha = hashlib.sha256()
    for _ in range(STEPS):
        step.zero_grad()
        loss = model.loss(X, rng=noise) / len(X)
        loss.backward()
        step.step()
        sha.update(loss.numpy().tobytes())
    for p in model.parameters():
        sha.update(np.ascontiguousarray(p.data).tobytes())
    return sha.hexdigest()[:16]


def by_lbfgs(X: np.ndarray) -> str:
    model = mg.models.LinearAutoencoder(
        X.shape[1], 2, bias=False, rng=np.random.default_rng(1), dtype=X.dtype
    )
    optimiser = mg.optim.LBFGS(model.parameters(), max_iter=STEPS)

    def closure() -> Any:
        optimiser.zero_grad()
        loss = model.loss(X)
        loss.backward()
        return loss

    optimiser.step(closure)
    return hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()[:16]


def by_kernels_alone(X: np.ndarray) -> str:
    """The public kernels that no training step calls."""
    k, (n, D) = mg.kernels, X.shape
    a, b = X - X.mean(), np.ascontiguousarray(X[::-1]) - X.dtype.type(0.5)
    parts = [k.batched_matmul(np.stack([a, b, X]), np.stack([b.T, X.T, a.T]))]
    parts += [k.add_rows(b, np.arange(n) // 2, (n, D))]
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    ).hexdigest()[:16]


def runs() -> Iterator[tuple[str, str]]:
    for backend in BACKENDS:
        with mg.kernels.use(backend):
            for dtype in DTYPES:
                for size, (batch, D, _) in SIZES.items():
                    X = np.random.default_rng(2).random((batch, D)).astype(dtype)
                    where = f"{backend}, {dtype}, {size}"
                    for name, make in models(size, dtype).items():
                        every = ("Adam", "AdamW", "SGD") if name == "everything else" else ("Adam",)
                        for optimiser in every:
                            yield f"{name}, {optimiser}: {where}", trained(make(), optimiser, X)
                    yield f"linear, L-BFGS: {where}", by_lbfgs(X)
                    yield f"kernels alone: {where}", by_kernels_alone(X)


if __name__ == "__main__":
    print(json.dumps({"machine": machine(), "package": mg.__path__[0], "bits": dict(runs())}))
