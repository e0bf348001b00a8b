"""The graph as a picture (PNG or SVG) by matplotlib: values as boxes, ops as circles, the loss on
the right.

Drawn from the record of a trace alone.  The same trace gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...autodiff.operation import REGISTRY
from ...errors import DataError, FileError
from ...files import write_whole
from .blocks import Block, fold
from .layout import Layout, arrange

# Okabe & Ito
BLUE, ORANGE, RED, INK, SOFT, PAPER = (
    "#0072B2",
    "#E69F00",
    "#B03A00",
    "#1b1f24",
    "#5a6068",
    "#ffffff",
)
EDGES = {"param": BLUE, "output": ORANGE}  # of a box, by the kind of its value
COLUMN, ROW, BOX = 2.05, 1.0, (1.4, 0.78)  # inches
NARROW = 8.0  # inches; narrower pictures have room for the caption
# of each format what it would say of the time and the program: left out
FORMATS = {".png": ["Software"], ".svg": ["Date", "Creator"], ".pdf": ["CreationDate"]}


def draw(record: dict[str, Any], path: str | Path, max_nodes: int = 60) -> None:
    """Write the picture of a trace's record; the ending of `path` says in which format."""
    from matplotlib import rc_context, style
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        fix = f"end the name in one of {', '.join(FORMATS)}"
        raise DataError("unknown kind of picture", path.name, fix)
    blocks, folded = fold(record, max_nodes)
    edges = sorted({(b.id, x) for b in blocks.values() for x in b.inputs})
    layout = arrange(list(blocks), edges)
    width, height = (layout.height - 1) * COLUMN + BOX[0] + 1.0, layout.width * ROW + BOX[1] + 1.6
    fixed: Any = {"svg.hashsalt": "minigrad_ae", "font.family": "DejaVu Sans"}
    fixed["svg.fonttype"] = "none"
    # whatever style the reader's own figures have
    with style.context("default"), rc_context(fixed):
        figure = Figure(figsize=(max(width, NARROW), height), dpi=100, facecolor=PAPER)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-0.5, max(width, NARROW) - 0.5)
        axes.set_ylim(-0.35 - BOX[1], height - 0.35 - BOX[1])
        axes.axis("off")
        _caption(axes, record, folded, height)
        places = {n: _place(layout, layout.x[n], layout.layer[n]) for n in blocks}
        for consumer, x in edges:
            _edge(axes, blocks, layout, places, consumer, x)
        for n, block in blocks.items():
            _box(axes, block, *places[n])
        kind = path.suffix.lower()
        empty = dict.fromkeys(FORMATS[kind])
        try:
            write_whole(path, lambda f: figure.savefig(f, format=kind[1:], metadata=empty))
        except OSError as error:
            place, fix = f"{path}: {error.strerror}", "name a file in an existing folder"
            raise FileError("the picture cannot be written", place, fix) from None


def _place(layout: Layout, x: float, layer: int) -> tuple[float, float]:
    """The middle of a box: the forward pass runs to the right."""
    return (layout.height - 1 - layer) * COLUMN + BOX[0] / 2, (layout.width - x) * ROW


def _caption(axes: Any, record: dict[str, Any], folded: str, height: float) -> None:
    about = "what it was computed from, and the gradient of each value"
    title = f"{record['loss']} = {float(record['value']):.6g}: {about}"
    note = (
        "box: value (max |v|, max |gradient|); circle: op; double border: parameter; dashed: "
        "un-broadcast; ×2: used twice"
    )
    top = height - 0.35 - BOX[1]
    same = {"va": "center", "parse_math": False}
    axes.text(-0.35, top - 0.22, title, fontsize=11, weight="bold", color=INK, **same)
    axes.text(-0.35, top - 0.48, note, fontsize=7.5, color=SOFT, **same)
    axes.text(-0.35, top - 0.68, folded, fontsize=7.5, color=INK, **same)


def _edge(
    axes: Any, blocks: dict[int, Block], layout: Layout, places: Any, consumer: int, x: int
) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    (x1, y1), (x0, y0) = places[consumer], places[x]
    start, end = (x0 + BOX[0] / 2, y0), (x1 - BOX[0] / 2 - 0.3, y1)
    bends = [_place(layout, at, k) for at, k in reversed(layout.bends.get((consumer, x), []))]
    points, codes = [start], [Line.MOVETO]
    for a, b in zip([start, *bends], [*bends, end], strict=True):
        middle = (a[0] + b[0]) / 2
        points += [(middle, a[1]), (middle, b[1]), b]
        codes += [Line.CURVE4] * 3
    active = blocks[x].gradient is not None
    stretched = x in blocks[consumer].stretched
    axes.add_patch(
        FancyArrowPatch(
            path=Line(points, codes),
            arrowstyle="-|>",
            mutation_scale=8,
            lw=1.3 if active else 0.7,
            linestyle=(0, (4, 2)) if stretched else "-",
            color=BLUE if active else SOFT,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )


def _box(axes: Any, block: Block, x: float, y: float) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    w, h = BOX
    edge = RED if block.bad else EDGES.get(block.kind, SOFT)

    def patch(grow: float, **style: Any) -> None:
        corner = (x - w / 2 - grow, y - h / 2 - grow)
        axes.add_patch(
            FancyBboxPatch(
                corner,
                w + 2 * grow,
                h + 2 * grow,
                boxstyle="round,pad=0,rounding_size=0.07",
                edgecolor=edge,
                **style,
            )
        )

    patch(
        0,
        facecolor=PAPER,
        lw=1.8 if block.kind == "output" else 1.2,
        hatch="////" if block.bad else None,
        zorder=3,
    )
    if block.kind == "param":
        patch(0.05, facecolor="none", lw=1.0, zorder=2)
    if block.op:
        axes.add_patch(
            Circle((x - w / 2 - 0.15, y), 0.15, facecolor=PAPER, edgecolor=INK, lw=1.0, zorder=4)
        )
        axes.text(
            x - w / 2 - 0.15,
            y,
            _symbol(block.op),
            fontsize=6 if len(_symbol(block.op)) > 2 else 8,
            ha="center",
            va="center",
            color=INK,
            zorder=5,
            parse_math=False,
        )
    over = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6} if block.bad else None
    looks = {
        "name": {"color": INK, "weight": "bold"},
        "bad": {"color": RED, "weight": "bold"},
        "plain": {"color": INK, "weight": "normal"},
    }
    for k, (line, look) in enumerate(block.lines()):
        axes.text(
            x,
            y + 0.27 - 0.18 * k,
            line,
            fontsize=7.5,
            ha="center",
            va="center",
            zorder=6,
            bbox=over,
            parse_math=False,
            **looks[look],
        )
    if block.fanout > 1:
        axes.text(
            x + w / 2 - 0.04,
            y + h / 2 - 0.09,
            f"×{block.fanout}",
            fontsize=7,
            ha="right",
            va="center",
            color=BLUE,
            weight="bold",
            zorder=6,
        )


def _symbol(op: str) -> str:
    known = REGISTRY.get(op)
    return (known.notes.symbol if known else "") or op[:4]
