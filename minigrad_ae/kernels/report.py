"""What the kernels run on: for ``minigrad-ae doctor``."""

from __future__ import annotations

from typing import Any

from .backend import backend, get_num_threads
from .gemm import gemm
from .jit import cache_place, numba
from .width import wide


def info() -> dict[str, Any]:
    """What the kernels run on, as ``minigrad-ae doctor`` reports it.

    Returns
    -------
    dict
        "backend" ("numba" or "numpy"), "numba" (its version, or None), "threads", "threading
        layer", "vectors" (of 512 bits, or of as many as LLVM chooses) and "cache" (the folder of
        compiled kernels, or None).
    """

    return {
        "backend": backend(),
        "numba": None if numba is None else numba.__version__,
        "threads": get_num_threads(),
        "threading layer": "Python threads around kernels that release the GIL (no OpenMP, no TBB)",
        "vectors": "of 512 bits" if wide(cache_place(gemm)) else "as LLVM chooses",
        "cache": cache_place(gemm),
    }
