"""How much of a hidden symbol its visible neighbours tell: letters of a book beside pixels.

Each symbol is hidden with the same probability, independently.  One predictor for all: it counts
which symbol occurred beside the nearest visible neighbours, nearest first, and falls back on fewer
of them where it has seen little (Witten and Bell).  What it needs to code a held-out symbol, in
bits, is never less than the conditional entropy, on average: an upper bound.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..data import shipped
from .masked_ratio import photograph
from .run import mean_and_error

LETTERS, BLOCKS, BLOCK = 27, 64, 1024  # the space is a letter; blocks of so many symbols
DEPTH = 5  # nearest visible neighbours that are looked at, at most
REACH = {1: 8, 2: 3}  # how far away, in symbols along each axis


def book() -> np.ndarray:
    """(64, 1024) numbers of letters, 0 for all that is none: the first 65,536 of Lewis Carroll,
    Alice's Adventures in Wonderland (1865), in the public domain; the file is alice29.txt of the
    Canterbury corpus, without trailing blanks.
    """
    text = gzip.decompress(shipped("07_text.txt.gz").read_bytes()).decode("ascii")
    words = re.sub("[^a-z]+", " ", text[text.index("CHAPTER I") :].lower().replace("'", ""))
    letters = np.frombuffer(words.encode("ascii"), np.uint8)[: BLOCKS * BLOCK].astype(int)
    return np.where(letters == ord(" "), 0, letters - ord("a") + 1).reshape(BLOCKS, BLOCK)


def levels(values: np.ndarray, n: int = 16) -> np.ndarray:
    """Values as numbers of levels, 0 to n - 1, that occur equally often, as far as ties allow."""
    return np.searchsorted(np.quantile(values, np.arange(1, n) / n), values)


def photograph_levels() -> np.ndarray:
    """(64, 32, 32): the photograph in 16 equally frequent levels, cut into blocks of 1,024
    pixels.
    """
    tiles = levels(photograph()).reshape(8, 32, 8, 32).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(BLOCKS, 32, 32)


# --- what is hidden, and what is seen beside it ---------------------------------------------------


def hidden_sets(
    shape: tuple[int, ...], ratio: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Masks, True where hidden, each symbol with probability `ratio`; none is hidden twice."""
    draw = rng.random(shape)
    for k in range(int(1 / ratio)):
        yield (draw >= k * ratio) & (draw < (k + 1) * ratio)


def offsets(axes: int, reach: int) -> np.ndarray:
    """(m, axes): where the neighbours of a symbol are, nearest first."""
    line = np.arange(-reach, reach + 1)
    all_of = np.stack(np.meshgrid(*[line] * axes, indexing="ij"), axis=-1).reshape(-1, axes)
    return all_of[(all_of**2).sum(axis=1).argsort(kind="stable")][1:]


def contexts(S: np.ndarray, hidden: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each hidden symbol: a number for its k nearest visible neighbours, their places and
    symbols, (n, 1 + DEPTH) for k = 0, 1 ..., and how many there are, (n,).

    The number is a hash; where there are fewer than k, it is that of those there are.
    """
    where = np.argwhere(hidden)
    found, known = np.zeros(len(where), int), np.zeros((len(where), 1 + DEPTH), np.uint64)
    for j, step in enumerate(offsets(S.ndim - 1, reach), start=1):
        rows = np.flatnonzero(found < DEPTH)
        beside = where[rows] + np.array([0, *step])
        inside = np.all((beside >= 0) & (beside < S.shape), axis=1)
        rows, beside = rows[inside], beside[inside]
        visible = ~hidden[tuple(beside.T)]
        rows, beside = rows[visible], beside[visible]
        symbol = S[tuple(beside.T)].astype(np.uint64) + np.uint64(1000 * j)
        mixed = (known[rows, found[rows]] ^ symbol) * np.uint64(0x9E3779B97F4A7C15)
        found[rows] += 1
        known[rows, found[rows]] = mixed ^ (mixed >> np.uint64(29))
    for k in range(1, 1 + DEPTH):
        known[:, k] = np.where(found >= k, known[:, k], known[:, k - 1])
    return known, found


def seen_beside(
    S: np.ndarray, ratio: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(contexts, hidden symbols, number of the block) over disjoint sets of hidden symbols."""
    masks = list(hidden_sets(S.shape, ratio, rng))
    known = [contexts(S, mask, REACH[S.ndim - 1])[0] for mask in masks]
    block = [np.nonzero(mask)[0] for mask in masks]
    return np.concatenate(known), np.concatenate([S[m] for m in masks]), np.concatenate(block)


# --- the predictor --------------------------------------------------------------------------------


def code_lengths(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], symbols: int
) -> np.ndarray:
    """(1 + DEPTH, n): bits for each symbol of `test`, with at most 0, 1 ... neighbours, by the
    counts of `train`.
    """
    (known, symbol), (asked, wanted) = train, test
    p, bits = np.full(len(wanted), 1 / symbols), []
    for k in range(known.shape[1]):
        context, row, n = np.unique(known[:, k], return_inverse=True, return_counts=True)
        pair, times = np.unique(row * symbols + symbol, return_counts=True)
        kinds = np.bincount(pair // symbols, minlength=len(context))  # of symbols in a context
        at = np.minimum(np.searchsorted(context, asked[:, k]), len(context) - 1)
        met = context[at] == asked[:, k]
        both = at * symbols + wanted
        i = np.minimum(np.searchsorted(pair, both), len(pair) - 1)
        count = np.where(pair[i] == both, times[i], 0)
        p = np.where(met, (count + kinds[at] * p) / (n[at] + kinds[at]), p)
        bits.append(-np.log2(p))
    return np.array(bits)


@dataclass(frozen=True)
class Unknown:
    """What the visible neighbours leave open of a hidden symbol.

    Parameters
    ----------
    share : float
        Of what it says without neighbours.
    error : float
        Standard error of the share, over held-out blocks.
    bits, alone : float
        For a hidden symbol, with its neighbours and without.
    bits_error : float
        Standard error of `bits`, over held-out blocks.
    """

    share: float
    error: float
    bits: float
    alone: float
    bits_error: float


def unknown(S: np.ndarray, ratio: float, rng: np.random.Generator, folds: int = 1) -> Unknown:
    """Code the blocks of S (blocks, ...) that are held out, with this share of symbols hidden.

    Three fifths of the blocks are counted; on one fifth it is decided how many neighbours to use;
    the last is coded.  With more `folds`, other fifths are the last as well.
    """
    symbols, order, n = int(S.max()) + 1, rng.permutation(len(S)), len(S) // 5
    parts: list[tuple[np.ndarray, ...]] = []
    for fold in range(folds):
        blocks = S[np.roll(order, fold * n)]
        counted = seen_beside(blocks[2 * n :], ratio, rng)[:2]
        asked, wanted, _block = seen_beside(blocks[n : 2 * n], ratio, rng)
        best = code_lengths(counted, (asked, wanted), symbols).mean(axis=1).argmin()
        asked, wanted, block = seen_beside(blocks[:n], ratio, rng)
        lengths = code_lengths(counted, (asked, wanted), symbols)[[best, 0]]
        parts.append((*(np.bincount(block, weights=b) for b in lengths), np.bincount(block)))
    with_them, without, count = map(np.concatenate, zip(*parts, strict=True))
    share, bits = with_them.sum() / without.sum(), with_them.sum() / count.sum()
    off = (with_them - share * without) / without.mean(), (with_them - bits * count) / count.mean()
    error, bits_error = (mean_and_error(o)[1] for o in off)
    return Unknown(float(share), error, float(bits), float(without.sum() / count.sum()), bits_error)


# --- a chain whose conditional entropy is known ---------------------------------------------------


def chain(flip: float, rng: np.random.Generator, blocks: int = BLOCKS) -> np.ndarray:
    """(blocks, 1024) of 0 and 1, each with probability `flip` another one than that before it."""
    start = rng.integers(0, 2, (blocks, 1))
    return (start + np.cumsum(rng.random((blocks, BLOCK)) < flip, axis=1)) % 2


def chain_entropy(flip: float, ratio: float, furthest: int = 200) -> float:
    """Bits of a hidden symbol of an endless chain, given all visible ones: only the nearest on
    either side count, a and b steps away.

    H(x | l, r) = h(f_a) + h(f_b) - h(f_(a + b)), f_a the probability of another symbol a steps on.
    """

    def entropy(steps: np.ndarray) -> np.ndarray:
        f = (1 - (1 - 2 * flip) ** steps) / 2
        return np.asarray(-f * np.log2(f) - (1 - f) * np.log2(1 - f))

    steps = np.arange(1.0, furthest)
    p = (1 - ratio) * ratio ** (steps - 1)
    both = entropy(steps)[:, None] + entropy(steps) - entropy(steps[:, None] + steps)
    return float(p @ both @ p)
