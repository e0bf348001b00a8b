"""The graph as SVG text: the loss on top, leaves below, so that the gradient flows down the
page.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise

from ...display import shape_text
from ..record.names import fitted, told_apart
from ..record.steps import Node
from .layout import Edge, Layout

WIDTH, HEIGHT, STEP_X, STEP_Y, MARGIN = 118, 44, 132, 72, 12  # px
LETTERS = 14  # of a name

OUTER = f'<rect class="outer" x="-3" y="-3" width="{WIDTH + 6}" height="{HEIGHT + 6}" rx="8"/>'
BOX = (
    f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    '<text class="name" x="8" y="18">{}</text><text class="sub" x="8" y="35">{}</text>'
    f'<text class="mark" x="{WIDTH - 7}" y="35" text-anchor="end"></text>'
)
FAN = (
    f'<rect class="fan" x="{WIDTH - 22}" y="-9" width="30" height="17" rx="8"/>'
    f'<text class="fan" x="{WIDTH - 7}" y="4" text-anchor="middle">×{{}}</text>'
)


def shown_nodes(nodes: Sequence[Node]) -> list[Node]:
    """All but numbers and other constants without axes, which stand in the formula of their op."""
    return [
        n for n in nodes if n.op or n.kind == "param" or (n.shape and n.kind in ("input", "const"))
    ]


def gradient_edges(shown: Sequence[Node]) -> list[Edge]:
    """(op, its input) for every input that is shown."""
    ids = {n.id for n in shown}
    return [(n.id, p) for n in shown for p in dict.fromkeys(n.parents) if p in ids]


def drawn(nodes: Sequence[Node], layout: Layout, edges: Sequence[Edge]) -> str:
    """The whole graph.  Elements carry ``data-node`` and ``data-edge``, so that the page can mark
    what is done.
    """
    width = layout.width * STEP_X + WIDTH + 2 * MARGIN
    height = (layout.height - 1) * STEP_Y + HEIGHT + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    label = 'role="group" aria-label="Graph: the loss on top, what it was computed from below"'
    parts = [f'<svg class="graph" {size} {label}>']
    for a, b in edges:
        first, last = ((layout.x[n], layout.layer[n]) for n in (a, b))
        points = [first, *layout.bends.get((a, b), []), last]
        kind = "edge" if _carries(nodes[b]) else "edge dead"
        parts.append(f'<path class="{kind}" data-edge="{a}-{b}" d="{_curve(points)}"/>')
    short = told_apart([nodes[n].name for n in layout.layer], LETTERS)
    for node, layer in layout.layer.items():
        x, y = layout.x[node] * STEP_X + MARGIN, layer * STEP_Y + MARGIN
        parts.append(_box(nodes[node], short[nodes[node].name], x, y))
    return "".join([*parts, "</svg>"])


def _carries(node: Node) -> bool:
    return node.op is not None or node.kind == "param"


def _curve(points: Sequence[tuple[float, int]]) -> str:
    """From the lower edge of the first box, through the middles of the bends, to the upper edge of
    the last.
    """
    xy = [
        (x * STEP_X + WIDTH / 2 + MARGIN, layer * STEP_Y + HEIGHT / 2 + MARGIN)
        for x, layer in points
    ]
    (x0, y0), (x1, y1) = xy[0], xy[-1]
    xy[0], xy[-1] = (x0, y0 + HEIGHT / 2), (x1, y1 - HEIGHT / 2)
    path = f"M{xy[0][0]:.0f} {xy[0][1]:.0f}"
    for (ax, ay), (bx, by) in pairwise(xy):
        middle = (ay + by) / 2
        path += f"C{ax:.0f} {middle:.0f} {bx:.0f} {middle:.0f} {bx:.0f} {by:.0f}"
    return path


def _box(node: Node, name: str, x: float, y: float) -> str:
    kind = "op" if node.op else node.kind
    used = f", used {node.fanout} times" if node.fanout > 1 else ""
    story = f"{node.name}, {node.op or node.kind}, shape {node.shape}{used}"
    active = ' tabindex="-1" role="button"' if _carries(node) else ""
    name, below = html.escape(name), html.escape(_told(node))
    place = f'data-node="{node.id}" transform="translate({x:.0f} {y:.0f})"{active}'
    parts = [f'<g class="node {kind}" {place}><title>{html.escape(story)}</title>']
    if kind == "param":
        parts.append(OUTER)
    parts.append(BOX.format(name, below))
    if node.fanout > 1:
        parts.append(FAN.format(node.fanout))
    return "".join([*parts, "</g>"])


def _told(node: Node) -> str:
    """'tanh 6×2': op and shape, in 14 characters; the shape alone if the name begins with the
    op.
    """
    shape = fitted(shape_text(node.shape), 13)
    if node.op and node.name.startswith(f"{node.op}_"):
        return shape
    return f"{fitted(node.op or node.kind, max(2, 13 - len(shape)))} {shape}"
