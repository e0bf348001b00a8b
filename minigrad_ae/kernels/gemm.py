from __future__ import annotations
from typing import Any
import numpy as np
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.tile import ROWS, tile, vector_of_zeros
K_BLOCK = 320
M_BLOCK = 120

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

@jit(ELEMENTWISE)
def tile_at_edge(at, i, last, b, c, j, n, edge, zero):
    """A tile that sticks out of C: computed in ``edge`` (ROWS, width) and copied, m rows by n columns."""
    for r in range(c.shape[0]):
        for l in range(n):
            edge[r, l] = c[r, j + l]
    tile(at, i, last, b, edge, 0, 0, zero)
    for r in range(c.shape[0]):
        for l in range(n):
            c[r, j + l] = edge[r, l]


@jit(ELEMENTWISE)
def gemm(at: Any, b: Any, transposed: bool, c: Any, i_from: int, i_to: int, j_from: int, j_to: int) -> None:
    """C[i_from:i_to, j_from:j_to] += (A B)[...]"""
    depth = at.shape[0]
    zero = vector_of_zeros(c)
    width = 2 * len(zero)
    n_panels = (j_to - j_from + width - 1) // width
    panels = np.empty((n_panels, min(depth, K_BLOCK), width), c.dtype)
    edge = np.zeros((ROWS, width), c.dtype)
    for k in range(0, depth, K_BLOCK):
        k_size = min(K_BLOCK, depth - k)
        a_block = at[k : k + k_size]
        for p in range(n_panels):
            pack(b, transposed, k, j_from + p * width, panels[p, :k_size])
        for i_block in range(i_from, i_to, M_BLOCK):
            i_end = min(i_block + M_BLOCK, i_to)
            for p in range(n_panels):
                b_block = panels[p, :k_size]
                j = j_from + p * width
                n = min(width, j_to - j)
                for i in range(i_block, i_end, ROWS):
                    m = min(ROWS, i_end - i)
                    if m == ROWS and n == width:
                        tile(a_block, i, i_end - 1, b_block, c, i, j, zero)
                    else:
                        tile_at_edge(a_block, i, i_end - 1, b_block, c[i : i + m], j, n, edge, zero)

def matmul(a,b):
    c=np.zeros((a.shape[0],b.shape[1]),a.dtype)
    at=a.T
    t=not b.flags.c_contiguous
    gemm(at,b.T if t else b,t,c,0,c.shape[0],0,c.shape[1])
    return c
