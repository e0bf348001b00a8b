"""What this machine can do at most, measured: multiply-adds per second from registers, bytes per
second from memory.

Both by a loop that a reader can check, on one core.  A kernel is limited by the lower of the two
roofs: work per byte below ``peak / bandwidth`` waits for memory, above it for the multipliers
(Williams, Waterman & Patterson 2009).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.tile import ROWS, fma, load, store, wide_vector_of_zeros

STEPS = 200_000


@jit(ELEMENTWISE)
def multiply_adds(sums: Any, factors: Any, v: Any, steps: int) -> None:
    """Four rows of two vectors, c <- c + x v, `steps` times: the tile of the matrix product, always
    with the same data.
    """
    zero = wide_vector_of_zeros(sums)
    n = len(zero)
    p, q, r, s = sums[0], sums[1], sums[2], sums[3]
    p0, p1 = load(p, zero), load(p[n:], zero)
    q0, q1 = load(q, zero), load(q[n:], zero)
    r0, r1 = load(r, zero), load(r[n:], zero)
    s0, s1 = load(s, zero), load(s[n:], zero)
    for k in range(steps):
        x, y = factors[k & 7], v[k & 7]
        a, b = load(y, zero), load(y[n:], zero)
        p0, p1 = fma(p0, x, a), fma(p1, x, b)
        q0, q1 = fma(q0, x, a), fma(q1, x, b)
        r0, r1 = fma(r0, x, a), fma(r1, x, b)
        s0, s1 = fma(s0, x, a), fma(s1, x, b)
    store(p, p0)
    store(p[n:], p1)
    store(q, q0)
    store(q[n:], q1)
    store(r, r0)
    store(r[n:], r1)
    store(s, s0)
    store(s[n:], s1)


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
    width = 2 * len(wide_vector_of_zeros(np.empty(0, np.float32)))
    sums, v = np.zeros((ROWS, width), np.float32), np.ones((8, width), np.float32)
    factors = np.full(8, 1e-6, np.float32)
    return 2.0 * sums.size * STEPS / best(lambda: multiply_adds(sums, factors, v, STEPS), rounds)


def bandwidth(rounds: int = 15, megabytes: int = 96) -> float:
    """Bytes per second of one core from arrays much larger than its caches."""
    n = megabytes * 2**20 // 12
    a, b, c = (np.ones(n, np.float32) for _ in range(3))
    return 12.0 * n / best(lambda: triad(a, b, c, np.float32(0.5)), rounds)
