"""Where the nodes of a graph go on paper: layers by longest path from the loss, few crossings, no
overlaps.

Sugiyama, Tagawa & Toda (1981) in small: layers, then the order within each by the mean place of the
neighbours (barycentre), then places.  Iterative and deterministic; 20,000 nodes are layered in
milliseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

Edge = tuple[int, int]  # (who made use of it, what was used): the way of the gradient
MANY = 1000  # nodes, with bends; places of more are rough
MOST_BENDS = 600  # bends of long edges; above that, long edges are straight


@dataclass
class Layout:
    """Places: ``layer[node]`` from 0 (the loss) on; ``x[node]`` in widths of a node;
    ``bends[edge]`` as (x, layer).
    """

    layer: dict[int, int]
    x: dict[int, float]
    bends: dict[Edge, list[tuple[float, int]]] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """From the leftmost to the rightmost centre."""
        return max(self.x.values(), default=0.0)

    @property
    def height(self) -> int:
        """The number of layers."""
        return max(self.layer.values(), default=-1) + 1


def layers(nodes: Iterable[int], edges: Iterable[Edge]) -> dict[int, int]:
    """The longest way from the loss to each node, in edges.  Inputs have smaller numbers than what
    is made of them.
    """
    depth = dict.fromkeys(nodes, 0)
    below = defaultdict(list)
    for consumer, x in edges:
        below[consumer].append(x)
    for node in sorted(depth, reverse=True):
        for x in below[node]:
            depth[x] = max(depth[x], depth[node] + 1)
    return depth


def arrange(nodes: Sequence[int], edges: Sequence[Edge]) -> Layout:
    """A place for every node."""
    edges = sorted(set(edges), reverse=True)
    layer = layers(nodes, edges)
    bends = sum(layer[x] - layer[c] - 1 for c, x in edges)
    rows: list[list[int]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in sorted(nodes, reverse=True):
        rows[layer[node]].append(node)
    links: list[Edge] = []
    chains: dict[Edge, list[int]] = {}
    fresh = count(min(nodes, default=0) - 1, -1)
    for consumer, x in edges:
        # a long edge bends around the nodes in between: it takes a place in each layer
        between = range(layer[consumer] + 1, layer[x]) if bends <= MOST_BENDS else range(0)
        chain = chains[consumer, x] = [next(fresh) for _ in between]
        for k, bend in zip(between, chain, strict=True):
            rows[k].append(bend)
        links += pairwise([consumer, *chain, x])
    place = _places(rows, links)
    bent = {
        edge: [(place[b], k) for k, b in enumerate(chain, start=layer[edge[0]] + 1)]
        for edge, chain in chains.items()
        if chain
    }
    return Layout(layer, {n: place[n] for n in nodes}, bent)


def _places(rows: list[list[int]], links: list[Edge]) -> dict[int, float]:
    """Order and place by sweeps up and down."""
    up, down = defaultdict(list), defaultdict(list)
    for a, b in links:
        down[a].append(b)
        up[b].append(a)
    x = {n: float(k) for row in rows for k, n in enumerate(row)}

    def wish(node: int, neighbours: dict[int, list[int]]) -> float:
        found = neighbours[node]
        return sum(x[m] for m in found) / len(found) if found else x[node]

    for sweep in range(6):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            row.sort(key=lambda n: wish(n, up if sweep % 2 == 0 else down))
            x.update((n, float(k)) for k, n in enumerate(row))
    for sweep in range(24 if len(x) <= MANY else 2):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wishes = [(wish(n, up) + wish(n, down)) / 2 for n in row]
            x.update(zip(row, _apart(wishes), strict=True))
    left = min(x.values(), default=0.0)
    return {n: v - left for n, v in x.items()}


def _apart(wishes: list[float]) -> list[float]:
    """The places nearest to the wishes, in their order, that are at least 1 apart (pool adjacent
    violators).
    """
    blocks: list[list[float]] = []  # [sum of wishes less offsets, count]
    for k, w in enumerate(wishes):
        blocks.append([w - k, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    places = [b[0] / b[1] for b in blocks for _ in range(int(b[1]))]
    return [p + k for k, p in enumerate(places)]
