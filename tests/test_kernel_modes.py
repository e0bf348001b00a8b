"""Parts of the suite once more, in processes where kernels run another way: the NumPy definitions,
and Numba's JIT off.

The parts are chosen so that they touch every layer (kernels, engine, networks, optimisers, a model)
and take seconds; with the JIT off each kernel is plain Python, so that coverage and debuggers see
into it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = {
    "numpy": (
        {"MINIGRAD_AE_KERNELS": "numpy"},
        [
            "test_engine_grad.py",
            "test_nn.py",
            "test_ops.py",
            "test_ops_values.py",
            "test_optim.py",
            "test_lbfgs.py",
            "test_compositions.py",
            "test_sparse_model.py",
        ],
    ),
    "no JIT": (
        {"NUMBA_DISABLE_JIT": "1"},
        [
            "test_engine_grad.py",
            "test_nn.py",
            "test_ops_values.py",
            "test_optim.py",
            "test_optim_rows.py",
            "test_fused.py",
        ],
    ),
}


@pytest.mark.parametrize("mode", PARTS)
def test_the_suite_passes_however_the_kernels_run(mode):
    settings, files = PARTS[mode]
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "MINIGRAD_AE_KERNELS"))
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *(f"tests/{f}" for f in files),
    ]
    done = subprocess.run(
        command, env=environment | settings, cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout.splitlines()[-1]
