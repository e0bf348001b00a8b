from __future__ import annotations
from typing import Any
import numpy as np
from minigrad_ae.kernels.jit import TILE, jit, ELEMENTWISE
from minigrad_ae.kernels.tile import ROWS, tile, vector_of_zeros
K_BLOCK = 256

@jit(ELEMENTWISE)
def pack(b: Any, transposed: bool, k0: int, j: int, panel: Any) -> None:
    """Copy ``B[k0:, j:]`` into ``panel`` (k, w), filling up with zeros; ``b`` holds B, or its transpose."""
    depth, width = panel.shape
    if transposed:
        n = min(width, b.shape[0] - j)
        if n < width:
            panel[:] = 0
        for l in range(n):
            row, column = b[j + l, k0:], panel[:, l]
            for k in range(depth):
                column[k] = row[k]
    else:
        n = min(width, b.shape[1] - j)
        if n == width:
            for k in range(depth):
                row, to = b[k0 + k, j:], panel[k]
                for l in range(width):
                    to[l] = row[l]
        else:
            panel[:] = 0
            for k in range(depth):
                row, to = b[k0 + k, j:], panel[k]
                for l in range(n):
                    to[l] = row[l]

@jit(TILE)
def gemm(at: Any, b: Any, transposed: bool, c: Any, i_from: int, i_to: int, j_from: int, j_to: int) -> None:
    """C[i_from:i_to, j_from:j_to] += (A B)[...]"""
    depth = at.shape[0]
    zero = vector_of_zeros(c)
    width = 2 * len(zero)
    panel = np.empty((min(depth, K_BLOCK), width), c.dtype)
    edge = np.zeros((ROWS, width), c.dtype)
    for k in range(0, depth, K_BLOCK):
        k_size = min(K_BLOCK, depth - k)
        a_block = at[k : k + k_size]
        b_block = panel[:k_size]
        for j in range(j_from, j_to, width):
            pack(b, transposed, k, j, b_block)
            n = min(width, j_to - j)
            for i in range(i_from, i_to, ROWS):
                m = min(ROWS, i_to - i)
                last = i + m - 1
                i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
                inside = m == ROWS and n == width
                if inside:
                    c0, c1, c2, c3 = c[i, j:], c[i1, j:], c[i2, j:], c[i3, j:]
                else:
                    for r in range(m):
                        for l in range(n):
                            edge[r, l] = c[i + r, j + l]
                    c0, c1, c2, c3 = edge[0], edge[1], edge[2], edge[3]
                tile(a_block, i, i1, i2, i3, b_block, c0, c1, c2, c3, zero)
                if not inside:
                    for r in range(m):
                        for l in range(n):
                            c[i + r, j + l] = edge[r, l]

def matmul(a,b):
    c=np.zeros((a.shape[0],b.shape[1]),a.dtype)
    at=a.T
    t=not b.flags.c_contiguous
    gemm(at,b.T if t else b,t,c,0,c.shape[0],0,c.shape[1])
    return c
