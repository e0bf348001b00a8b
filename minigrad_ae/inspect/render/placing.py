"""Where the page draws the boxes of a graph: all of it; by modules, of which one is unfolded; or,
of a large graph without modules, the places from which the page picks a neighbourhood.

The loss is on top and leaves below, so that the gradient flows down the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..record.names import told_apart
from ..record.steps import Node
from .blocks import layers_of
from .layout import Edge, Layout, arrange

LETTERS = 14  # of a name in a box
DRAWN = 500  # nodes; a larger graph is drawn folded, or as a neighbourhood
GROUPS = 24  # modules at most; as fine as that allows


def shown_nodes(nodes: Sequence[Node]) -> list[Node]:
    """All but numbers and other constants without axes, which stand in the formula of their op."""
    return [
        n for n in nodes if n.op or n.kind == "param" or (n.shape and n.kind in ("input", "const"))
    ]


def gradient_edges(shown: Sequence[Node]) -> list[Edge]:
    """(op, its input) for every input that is shown."""
    ids = {n.id for n in shown}
    return [(n.id, p) for n in shown for p in dict.fromkeys(n.parents) if p in ids]


def drawing(trace_nodes: Sequence[Node]) -> dict[str, Any]:
    """What the page draws, as small JSON: ``whole``, ``groups`` and ``places``; None where there is
    no such.
    """
    shown = shown_nodes(trace_nodes)
    edges, few = gradient_edges(shown), len(shown) <= DRAWN
    layout = arrange([n.id for n in shown], edges)
    whole = _placed(layout, {}) if few else None
    folded = _folded(trace_nodes, shown, edges)
    places = None if whole or folded else _placed(layout, {})["boxes"]
    return {"whole": whole, "groups": folded, "places": places}


def modules(nodes: Sequence[Node], shown: Sequence[Node]) -> list[tuple[str, list[int]]]:
    """(module, its ops and what only they use), in the order of the forward pass; [] where
    parameters have no paths.
    """
    known = [{"name": n.name, "kind": n.kind, "parents": n.parents} for n in nodes]
    runs = layers_of(known, [n.id for n in shown if n.op], GROUPS)
    of = {op: k for k, (_, ops) in enumerate(runs) for op in ops}
    users: dict[int, set[int]] = defaultdict(set)
    for n in shown:
        for p in n.parents:
            users[p].add(of.get(n.id, -1))
    leaves = {n.id: users[n.id] for n in shown if not n.op and len(users[n.id]) == 1}
    inside: dict[int, list[int]] = defaultdict(list)
    for leaf, (group,) in leaves.items():
        inside[group].append(leaf)
    return [(name or "start", [*inside[k], *ops]) for k, (name, ops) in enumerate(runs)]


def _folded(
    nodes: Sequence[Node], shown: Sequence[Node], edges: Sequence[Edge]
) -> dict[str, Any] | None:
    """The modules, and for each the places of all boxes while it is the one that is unfolded."""
    groups = modules(nodes, shown)
    if len(groups) < 2 or max(len(members) for _, members in groups) > DRAWN:
        return None
    # a run of ops comes after all that it uses, and so does its last one
    last = {k: max(members) for k, (_, members) in enumerate(groups)}
    group = {m: k for k, (_, members) in enumerate(groups) for m in members}
    layouts = []
    for opened in range(len(groups)):
        folded = {m: last[k] for m, k in group.items() if k != opened}
        box = {n.id: folded.get(n.id, n.id) for n in shown}
        between = {(box[a], box[b]) for a, b in edges if box[a] != box[b]}
        layout = arrange(sorted(set(box.values())), sorted(between))
        names = {last[k]: -k - 1 for k in last if k != opened}
        layouts.append(_placed(layout, names))
    short = told_apart([name for name, _ in groups], LETTERS)
    told = [
        {"name": name, "short": short[name], "of": of, "labels": _labels(nodes, name, of)}
        for name, of in groups
    ]
    return {"modules": told, "layouts": layouts}


def _labels(nodes: Sequence[Node], module: str, members: Sequence[int]) -> dict[int, str]:
    """Names in an unfolded module: of parameters without the module's own, and of ops without a
    name (linear_27) by the layer whose parameters they use.
    """
    head, names = f"{module}.", {}
    for m in members:
        node = nodes[m]
        params = [nodes[p].name for p in node.parents if nodes[p].kind == "param"]
        layers = {name.rpartition(".")[0] for name in params if name.startswith(head)}
        if node.kind == "param":
            names[m] = node.name.removeprefix(head)
        elif node.name.startswith(f"{node.op}_") and len(layers) == 1:
            names[m] = layers.pop().removeprefix(head)
    short = told_apart(list(names.values()), LETTERS)
    return {m: short[name] for m, name in names.items() if name and name != module}


def _placed(layout: Layout, names: Mapping[int, int]) -> dict[str, Any]:
    """[box, layer, x] of each box, and {"from-to": [[x, layer], ...]} of edges that bend around
    others.
    """
    boxes = [[names.get(n, n), layer, round(layout.x[n], 2)] for n, layer in layout.layer.items()]
    bends = {
        f"{names.get(a, a)}-{names.get(b, b)}": [[round(x, 2), layer] for x, layer in points]
        for (a, b), points in layout.bends.items()
    }
    return {"boxes": boxes, "bends": bends}
