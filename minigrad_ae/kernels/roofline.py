"""What this machine can do at most, measured: multiply-adds per second on numbers in the cache
beside the registers, bytes per second from memory.

Both by a loop that a reader can check, on one core.  A kernel is limited by the lower of the two
roofs: work per byte below ``peak / bandwidth`` waits for memory, above it for the multipliers
(Williams, Waterman & Patterson 2009).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.micro import FRESH, ROWS, tile
from minigrad_ae.kernels.vectors import BYTES

DEPTH, TIMES = 128, 1000


@jit(ELEMENTWISE)
def multiply_adds(a: Any, b: Any, c: Any, times: int) -> None:
    """The tile of the matrix product, again and again with the same data, which lie in the
    first-level cache.
    """
    depth, rows, columns = a.shape[0], a.shape[1], b.shape[1]
    of_a, of_b, to_c = a.reshape(-1), b.reshape(-1), c.reshape(-1)
    for _ in range(times):
        rest = to_c, 0, to_c, 0, columns, depth, columns, FRESH, rows
        tile(of_a, 0, 1, rows, of_b, 0, columns, *rest)


@jit(ELEMENTWISE)
def triad(a: Any, b: Any, c: Any, scale: Any) -> None:
    """a = b + scale c: 12 bytes of float32 are moved per element (McCalpin's STREAM)."""
    for i in range(a.size):
        a[i] = b[i] + scale * c[i]


def best(function: Any, rounds: int) -> float:
    """The shortest time: a roof is what the machine can do when left alone."""
    function()
    shortest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def peak_flops(rounds: int = 40) -> float:
    """Floating-point operations per second of one core, float32: a multiply and an add count as
    two.
    """
    a, b = np.ones((DEPTH, ROWS), np.float32), np.ones((DEPTH, BYTES // 2), np.float32)
    c = np.empty((ROWS, BYTES // 2), np.float32)
    work = 2.0 * c.size * DEPTH * TIMES
    return work / best(lambda: multiply_adds(a, b, c, TIMES), rounds)


def bandwidth(rounds: int = 15, megabytes: int = 96) -> float:
    """Bytes per second of one core from arrays much larger than its caches."""
    n = megabytes * 2**20 // 12
    a, b, c = (np.ones(n, np.float32) for _ in range(3))
    return 12.0 * n / best(lambda: triad(a, b, c, np.float32(0.5)), rounds)
