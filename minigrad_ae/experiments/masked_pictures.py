"""What lesson 07 draws: the slide's diagram with real pictures in it, rows of pictures, and where
tokens look.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

from ..arguments import counted
from ..models import MaskedAutoencoder
from ..nn import patchify
from .masked import hidden_pixels
from .run import mean_and_error

HIDDEN, ENCODER, DECODER = "#BFD9EA", "#0072B2", "#E69F00"
INK: dict[str, Any] = {"cmap": "gray_r", "vmin": 0, "vmax": 1}  # of an image: 0 white, 1 black


def ink(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Values as amounts of ink: 0 at the lower limit, 1 at the upper."""
    low, high = limits
    return (values - low) / (high - low if high > low else 1.0)


def shades(ink: np.ndarray) -> np.ndarray:
    """Amounts of ink, 0 to 1, as grey: (..., 3) from white to black."""
    return np.repeat(1 - np.clip(ink, 0, 1)[..., None], 3, axis=-1)


def with_holes(picture: np.ndarray, mask: np.ndarray, patch: int) -> np.ndarray:
    """A picture (H, W) as one (H, W, 3) in which hidden patches are light blue."""
    coloured = shades(picture)
    holes = hidden_pixels(mask, picture.shape, patch).reshape(picture.shape)
    coloured[holes] = np.array([int(HIDDEN[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return coloured


def rows_of_pictures(ax: Any, rows: list[tuple[str, list[np.ndarray]]], margin: int = 1) -> None:
    """Each row side by side in one axes, its label at the left; pictures (H, W) of ink or (H, W, 3)
    of colours.
    """
    coloured = [[i if i.ndim == 3 else shades(i) for i in images] for _, images in rows]
    frame = ((margin, margin), (margin, margin), (0, 0))
    table = [np.hstack([np.pad(i, frame, constant_values=1.0) for i in row]) for row in coloured]
    ax.imshow(np.vstack(table), interpolation="nearest")
    middles = len(table[0]) * (np.arange(len(rows)) + 0.5) - 0.5
    ax.set_yticks(middles, [label for label, _ in rows])
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def reconstruction_rows(
    model: MaskedAutoencoder,
    x: np.ndarray,
    masks: np.ndarray,
    limits: tuple[float, float] = (0.0, 1.0),
) -> list[tuple[str, list[np.ndarray]]]:
    """The book's figure: what is there, what the encoder sees, what comes out; and the decoder's
    output as it is.

    limits : of the values, white and black.
    """
    H, W = model.image_shape[:2]
    pasted, raw = model.reconstruct(x, masks), model.reconstruct(x, masks, paste=False)
    inks = [ink(row, limits).reshape(-1, H, W) for row in (x, pasted, raw)]
    original, filled_in, alone = map(list, inks)
    seen = [with_holes(a, m, model.patch) for a, m in zip(original, masks, strict=True)]
    return [
        ("original", original),
        (f"{masks[0].mean():.0%} hidden", seen),
        ("filled in", filled_in),
        ("decoder alone", alone),
    ]


def draw_masked_autoencoder(
    ax: Any,
    model: MaskedAutoencoder,
    x: np.ndarray,
    mask: np.ndarray,
    limits: tuple[float, float] = (0.0, 1.0),
) -> None:
    """The slide, left to right, with the model's own sizes, one real picture, and what the model
    makes of it.

    limits : of the values, white and black.
    """
    H, W = model.image_shape[:2]
    y = ink(model.reconstruct(x[None], mask[None])[0], limits).reshape(H, W)
    kept, grid = np.flatnonzero(~mask), model.encoder.embedding.grid
    patches = ink(patchify(x[None], (H, W), model.patch)[0], limits)
    patches = patches.reshape(-1, model.patch, model.patch)
    step, apart = 4.4 / max(grid), min(1.1, 4.4 / len(kept))  # of the grid, of the column
    for k, (r, c) in enumerate(np.ndindex(grid)):
        across, y0 = step * (c + (max(grid) - grid[1]) / 2), 5.0 - step * (r + 1)
        _patch(ax, across, y0, step / 1.1, None if mask[k] else patches[k])
        _square(ax, 14.6 + across, y0, step / 1.1, DECODER if mask[k] else ENCODER)
    for j, visible in enumerate(patches[kept]):
        _patch(ax, 6.0, 5.0 - apart * (j + 1), apart / 1.1, visible)
        _square(ax, 12.0, 5.0 - apart * (j + 1), apart / 1.1, ENCODER)
    blocks = f"{counted(model.depth, 'block')}\nwidth {model.width}"
    encoder = f"encoder\n{blocks}\n{counted(model.heads, 'head')}"
    again = f"{counted(model.decoder_depth, 'block')}\nwidth {model.decoder_width}"
    _box(ax, 8.0, 11.0, ENCODER, encoder)
    _box(ax, 20.0, 23.0, DECODER, f"decoder\n{again}")
    wide = 4.4 * W / max(H, W)
    place = (26.4 - wide / 2, 26.4 + wide / 2, 0.6, 5.0)
    ax.imshow(y, **INK, extent=place, interpolation="nearest", zorder=2)
    for x0, x1 in ((4.6, 5.8), (7.15, 7.9), (11.1, 11.9), (13.2, 14.4), (19.1, 19.9), (23.1, 24.0)):
        ax.annotate(
            "", (x1, 2.8), (x0, 2.8), arrowprops={"arrowstyle": "->", "color": "#555555", "lw": 1.4}
        )
    for x0, text in (
        (2.15, f"{len(mask)} patches,\n{int(mask.sum())} hidden"),
        (6.5, f"{len(kept)} visible"),
        (12.5, "codes"),
        (16.75, "put back; one learnt mask\ntoken in each hidden place"),
        (26.4, "prediction,\nvisible pasted in"),
    ):
        ax.text(x0, -0.1, text, ha="center", va="top", fontsize=8.5)
    ax.set(xlim=(-0.4, 29.0), ylim=(-1.5, 5.2), aspect="equal")
    ax.axis("off")


def _patch(ax: Any, x: float, y: float, size: float, pixels: np.ndarray | None) -> None:
    """A patch with its pixels, or light blue where it is hidden."""
    if pixels is None:
        _square(ax, x, y, size, HIDDEN, "#777777", 1.0)
        return
    n = len(pixels)
    for i, j in np.ndindex(n, n):
        corner = (x + size * j / n, y + size * (1 - (i + 1) / n))
        shade = shades(pixels[i, j])
        ax.add_patch(Rectangle(corner, size / n, size / n, facecolor=shade, lw=0))
    _square(ax, x, y, size, "none", "#777777", 1.0)


def _square(
    ax: Any, x: float, y: float, size: float, color: str, edge: str = "white", alpha: float = 0.85
) -> None:
    look: dict[str, Any] = {"facecolor": color, "edgecolor": edge, "lw": 0.6, "alpha": alpha}
    ax.add_patch(Rectangle((x, y), size, size, **look))


def _box(ax: Any, left: float, right: float, color: str, text: str) -> None:
    style: dict[str, Any] = {"boxstyle": "round,pad=0.05", "facecolor": "white", "lw": 2}
    box = FancyBboxPatch((left, 0.8), right - left, 4.0, edgecolor=color, **style)
    ax.add_patch(box)
    ax.text((left + right) / 2, 2.8, text, ha="center", va="center", fontsize=9)


# --- figures --------------------------------------------------------------------------------------

POINTS: dict[str, Any] = {"marker": "o", "ms": 4, "capsize": 3}
LINES = [  # (colour, style) of each method
    (ENCODER, "-"),
    (ENCODER, ":"),
    ("#56B4E9", "-"),
    (DECODER, "--"),
    ("#D55E00", "--"),
    ("#000000", "--"),
]


def ratios_figure(study: dict[str, Any]) -> Any:
    """What a linear classifier of the frozen encoder reaches against the share of hidden patches,
    one panel for each source of pictures, a dot for each network.
    """
    sources = [name for name in ("MNIST", "photograph") if name in study]
    fig, axes = plt.subplots(1, len(sources), figsize=(4.6 * len(sources), 3.9), squeeze=False)
    for ax, name in zip(axes[0], sources, strict=True):
        ratios = [100 * float(r) for r in study[name]["ratios"]]
        nets = np.array(
            [[np.mean(n["accuracy"]) for n in row] for row in study[name]["ratios"].values()]
        )
        means, errors = np.array([mean_and_error(row) for row in nets]).T
        for row, label in zip(nets.T, ("one network", None, None), strict=True):
            ax.plot(ratios, row, "o", color="#56B4E9", ms=4, label=label)
        ax.errorbar(ratios, means, errors, **POINTS, color=ENCODER, label="mean, standard error")
        pixels = float(np.mean(study[name]["pixels"]))
        ax.axhline(pixels, color=DECODER, ls="--", label="the classifier on pixels")
        best = int(means.argmax())
        close = [
            f"{r:g}"
            for r, m, e in zip(ratios, means, errors, strict=True)
            if means[best] - m <= 2 * np.hypot(e, errors[best])
        ]
        ax.set(
            xlabel="hidden patches (% of 49)",
            ylabel="held-out accuracy",
            xticks=ratios,
            title=f"{name}: highest mean at {ratios[best]:g} %\n"
            f"(within two standard errors: {', '.join(close)} %)",
        )
        ax.legend(fontsize=8)
    return fig


def redundancy_figure(found: dict[str, dict[float, Any]], title: str) -> Any:
    """The share of a symbol that its visible neighbours leave open, against the hidden share."""
    fig, ax = plt.subplots(figsize=(6.8, 3.9))
    looks = (("#D55E00", "o-"), (ENCODER, "s-"), ("#009E73", "^--"))
    for (name, row), (color, style) in zip(found.items(), looks, strict=True):
        shares = [100 * u.share for u in row.values()]
        errors = [100 * u.error for u in row.values()]
        x = [100 * ratio for ratio in row]
        ax.errorbar(x, shares, errors, fmt=style, ms=5, capsize=3, color=color, label=name)
    ax.set(
        xlabel="hidden symbols (%)",
        ylabel="unknown, given visible\nneighbours (% of its bits)",
        ylim=(0, 105),
        xticks=x,
        title=title,
    )
    ax.legend(fontsize=9)
    return fig


def labels_figure(study: dict[str, Any], origin: str) -> Any:
    """Test accuracy against the number of labels, one curve for each method.  The title says what
    pre-training gains, and who made the study (`origin`).
    """
    methods, counts = list(study["transfer"]["0.05"]), list(study["labels"].values())
    fig, ax = plt.subplots(figsize=(7.4, 4.6))
    for k, (method, (color, line)) in enumerate(zip(methods, LINES, strict=True)):
        found = [mean_and_error(study["transfer"][share][method]) for share in study["labels"]]
        x = np.array(counts) * 1.03 ** (k - 2.5)  # side by side, so that the bars can be told apart
        means, errors = np.array(found).T
        ax.errorbar(x, means, errors, **POINTS, color=color, ls=line, label=method)
    gains = ", ".join(
        f"{np.mean(runs['fine-tuned']) - np.mean(runs['from scratch']):+.3f} ({float(share):.0%})"
        for share, runs in study["transfer"].items()
    )
    ax.set(
        xscale="log",
        xlabel="labelled digits: 1, 5, 10 and 100 % of 1,437",
        ylabel="accuracy on 360 test digits",
        title=f"{origin}, digits, {study['transfer ratio']:.0%} hidden before: "
        f"fine-tuned minus from scratch\n{gains}",
    )
    ax.set_xticks(counts, [str(c) for c in counts])
    ax.minorticks_off()
    ax.legend(fontsize=8, loc="lower right")
    return fig


def attention_figure(
    model: MaskedAutoencoder,
    pictures: np.ndarray,
    query: int,
    limits: tuple[float, float] = (0.0, 1.0),
) -> tuple[Any, list[np.ndarray]]:
    """(figure, weights of each block): for each picture and block, how much patch `query` takes
    from each patch, mean over heads.

    limits : of the values, white and black.
    """
    rows, columns = model.encoder.embedding.grid
    maps = [
        m.numpy()[:, :, query].mean(axis=1).reshape(-1, rows, columns)
        for m in model.encoder.attention_maps(pictures)
    ]
    size = 1.7 * len(pictures) + 1.4, 1.7 * (1 + model.depth) + 0.7
    fig, axes = plt.subplots(
        1 + model.depth, len(pictures), figsize=size, squeeze=False, layout="constrained"
    )
    most = max(float(weights.max()) for weights in maps)
    edges = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    H, W = model.image_shape[:2]
    for k, column in enumerate(axes.T):
        shown = ink(pictures[k], limits).reshape(H, W)
        column[0].imshow(shown, **INK, extent=edges)
        for weights, ax in zip(maps, column[1:], strict=True):
            image = ax.imshow(weights[k], cmap="viridis", vmin=0, vmax=most)
        for ax in column:
            corner = query % columns - 0.5, query // columns - 0.5
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", lw=2.2))
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
    for k, ax in enumerate(axes[:, 0]):
        ax.set_ylabel(f"block {k}" if k else "picture", fontsize=9)
    bar = fig.colorbar(image, ax=axes[1:], shrink=0.9, pad=0.02)
    bar.set_label(f"attention weight\n(all alike: {1 / (rows * columns):.3f})", fontsize=9)
    shares = [weights.reshape(len(pictures), -1) for weights in maps]
    itself = sum(int(np.sum(weights.argmax(axis=1) == query)) for weights in shares)
    fig.suptitle(
        f"The framed patch takes most from itself in {itself} of {len(pictures) * len(maps)} maps",
        fontsize=11,
    )
    return fig, maps
