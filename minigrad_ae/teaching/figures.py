"""What lessons on codes draw: sheets of images, a decoder's manifold, a map of codes, a graph with
its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from .lesson import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY, YELLOW

Array = np.ndarray
# of the ten digits
CLASSES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#A0A000", BLACK, "#7F7F7F", "#6A3D9A")


def sheet(images: Array, columns: int, pad: int = 1) -> Array:
    """Square images (n, D) as one picture, `columns` in a row, with white lines between; what
    would leave the last row incomplete is not shown.
    """
    side = round(images.shape[1] ** 0.5)
    images = images[: len(images) // columns * columns]
    framed = np.pad(images.reshape(-1, side, side), ((0, 0), (pad, pad), (pad, pad)))
    rows = framed.reshape(-1, columns, side + 2 * pad, side + 2 * pad)
    return np.vstack([np.hstack(list(row)) for row in rows])


def is_picture(features: int) -> bool:
    """Whether a row of so many features is drawn as a square picture: 5 x 5 pixels or more."""
    side = round(features**0.5)
    return side >= 5 and side * side == features


def show_sheet(
    ax: Any, images: Array, columns: int, label: str = "", limits: tuple[float, float] = (0, 1)
) -> None:
    """A sheet of grey images, from white at the lower of `limits` to black, in one axes."""
    low, high = limits
    scaled = (images - low) / (high - low)
    ax.imshow(sheet(scaled, columns), cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if label:
        ax.set_ylabel(label, fontsize=8)


def show_rows(
    ax: Any, rows: Array, label: str = "", limits: tuple[float, float] | None = None
) -> None:
    """Rows of data (n, D) side by side: as grey pictures where D is a square of 5 or more,
    otherwise as columns of a table of shades, one feature below the other.

    limits : of the values, white and black; by default those of `rows`.
    """
    low, high = limits or (float(rows.min()), float(rows.max()))
    high = high if high > low else low + 1
    if is_picture(rows.shape[1]):
        show_sheet(ax, rows, len(rows), label, (low, high))
        return
    ax.imshow(rows.T, cmap="gray_r", vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.set_ylabel(f"{label}\n({rows.shape[1]} features)" if label else "features", fontsize=8)


def show_vector(ax: Any, vector: Array, title: str = "") -> None:
    """A direction in the space of the data (D,), orange below zero and purple above: as a picture
    where D is a square of 5 or more, otherwise as bars, one for each feature.
    """
    ax.set_title(title)
    if is_picture(len(vector)):
        side, size = round(len(vector) ** 0.5), float(np.abs(vector).max())
        ax.imshow(vector.reshape(side, side), cmap="PuOr", vmin=-size, vmax=size)
        ax.set(xticks=[], yticks=[])
        return
    colors = [PURPLE if entry > 0 else ORANGE for entry in vector]
    ax.bar(np.arange(1, len(vector) + 1), vector, color=colors)
    ax.axhline(0, color=BLACK, lw=0.8)
    ax.set_xlabel("feature")


def prior_grid(n: int) -> Array:
    """(n * n, 2) codes, row by row from the top left, at equal steps of probability under N(0, I)
    in each direction.
    """
    steps = np.array([NormalDist().inv_cdf((k + 0.5) / n) for k in range(n)])
    across, down = np.meshgrid(steps, steps[::-1])
    return np.stack([across.ravel(), down.ravel()], axis=1)


def show_manifold(
    ax: Any, decode: Callable[[Array], Array], n: int, limits: tuple[float, float] = (0, 1)
) -> None:
    """The images that a decoder of two latent units makes of `prior_grid`."""
    show_sheet(ax, decode(prior_grid(n)), n, limits=limits)
    ax.set(xlabel="$z_1$ at equal steps of probability", ylabel="$z_2$")


def show_codes(ax: Any, codes: Array, labels: Array | None) -> None:
    """Codes (n, 2), each drawn as its digit in the colour of its class, or as a point where there
    are no labels; circles hold half and 95 % of the prior.
    """
    if labels is None:
        ax.scatter(*codes.T, color=BLUE, s=10)
        labels = np.empty(0)
    for label in np.unique(labels):
        look = {"marker": f"${label}$", "color": CLASSES[label], "s": 22, "linewidth": 0.2}
        ax.scatter(*codes[labels == label].T, **look)
    turn = np.linspace(0, 2 * np.pi, 100)
    for share in (0.5, 0.95):
        radius = np.sqrt(-2 * np.log(1 - share))
        ax.plot(radius * np.cos(turn), radius * np.sin(turn), color=BLACK, lw=0.8, ls=":")
        box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
        where: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 5, "bbox": box}
        ax.text(0, radius, f"{share:.0%} of p(z)", fontsize=8, **where)
    ax.set(xlabel="mean of $q(z_1 | x)$", ylabel="mean of $q(z_2 | x)$", aspect="equal")


# --- the whole model in one picture ---------------------------------------------------------------


def show_autoencoder(ax: Any, words: Mapping[str, str], pictures: Mapping[str, Array]) -> None:
    """Datum, encoder, code, decoder, reconstruction, from left to right; below, the two terms of
    the bound where they belong.

    words : under "mu", "sigma", "eps", "z", "kl", "log_p" and "bound", what stands in these places.
    pictures : rows of data, (D,), under "x" and "y", drawn with the same shades.
    """
    both = np.concatenate(list(pictures.values()))
    for place, (name, row) in zip((0.0, 8.9), pictures.items(), strict=True):
        picture = ax.inset_axes([place, 1.6, 1.1, 1.5], transform=ax.transData)
        show_rows(picture, row[None, :], limits=(float(both.min()), float(both.max())))
        picture.set_ylabel("")
        picture.spines[:].set_visible(False)
        ax.text(place + 0.55, 3.3, f"${name}$", ha="center", va="center", fontsize=11)
    shapes = {  # a network narrows or widens towards what it makes
        "encoder $\\phi$": [(1.5, 1.2), (1.5, 3.5), (2.9, 2.95), (2.9, 1.75)],
        "decoder $w$": [(7.1, 1.75), (7.1, 2.95), (8.5, 3.5), (8.5, 1.2)],
    }
    for name, corners in shapes.items():
        ax.fill(*zip(*corners, strict=True), facecolor="#DCEBF5", edgecolor=BLUE, lw=1.2)
        x = float(np.mean([corner[0] for corner in corners]))
        ax.text(x, 2.35, name.replace(" ", "\n"), ha="center", va="center", fontsize=9)
    boxes = {
        "mu": (4.0, 3.05, "white", BLUE),
        "sigma": (4.0, 1.65, "white", BLUE),
        "eps": (6.0, 0.75, YELLOW, BLACK),
        "z": (6.0, 2.35, "white", BLUE),
        "kl": (2.9, -0.55, "#F9E3D3", RED),
        "log_p": (8.0, -0.55, "#D8EFE6", GREEN),
    }
    for name, (x, y, face, edge) in boxes.items():
        box = {"boxstyle": "round,pad=0.4", "facecolor": face, "edgecolor": edge}
        centred: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8.5}
        ax.text(x, y, words[name], bbox=box, zorder=3, **centred)
    arrows = [
        ((1.1, 2.35), (1.5, 2.35)),
        ((2.9, 2.6), (3.3, 2.95)),
        ((2.9, 2.1), (3.3, 1.75)),
        ((4.75, 2.95), (5.25, 2.55)),
        ((4.75, 1.75), (5.25, 2.15)),
        ((6.0, 1.1), (6.0, 1.9)),
        ((6.75, 2.35), (7.1, 2.35)),
        ((8.5, 2.35), (8.9, 2.35)),
    ]
    for start, end in arrows:
        ax.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": BLACK})
    for start, end, color in (((4.0, 1.2), (3.3, 0.0), RED), ((9.45, 1.5), (8.6, 0.0), GREEN)):
        look = {"arrowstyle": "-|>", "color": color, "ls": "--"}
        ax.annotate("", xy=end, xytext=start, arrowprops=look)
    ax.text(5.4, -1.75, words["bound"], ha="center", va="center", fontsize=10, weight="bold")
    ax.set(xlim=(-0.1, 10.1), ylim=(-2.1, 3.7))
    ax.axis("off")


# --- a graph with its gradients -------------------------------------------------------------------

PLACES = {
    "x": (0.0, 0.0),
    "encoder": (1.3, 0.0),
    "mu": (2.8, 0.6),
    "log_var": (2.8, -0.6),
    "z": (4.5, 0.0),
    "decoder": (6.3, 0.0),
    "loss": (8.0, 0.0),
    "eps": (4.5, -1.2),
}
WORDS = {
    "x": "x",
    "encoder": "encoder\n$\\phi$",
    "mu": "$\\mu$",
    "log_var": "$\\ln \\sigma^2$",
    "z": "$z \\sim N(\\mu, \\sigma^2)$",
    "decoder": "decoder\n$w$",
    "loss": "$\\ln p(x|z)$",
}
NOISE_OUTSIDE = {"z": "$z = \\mu + \\sigma \\epsilon$", "eps": "$\\epsilon \\sim N(0, I)$"}
FORWARD = [
    ("x", "encoder"),
    ("encoder", "mu"),
    ("encoder", "log_var"),
    ("mu", "z"),
    ("log_var", "z"),
    ("z", "decoder"),
    ("decoder", "loss"),
]


def show_gradient_flow(ax: Any, norms: Mapping[str, float], reparameterised: bool) -> None:
    """Encoder, sample, decoder; black arrows forward, orange ones back with the size of the
    gradient that arrives.

    norms : of d ln p(x | z) / d(z, mu, log_var, encoder, decoder), by these names.
    """
    arrows, words = FORWARD, WORDS
    if reparameterised:
        arrows, words = [*FORWARD, ("eps", "z")], WORDS | NOISE_OUTSIDE
    centred: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
    for start, end in arrows:
        _arrow(ax, PLACES[start], PLACES[end], BLACK, 0.8, 0.0)
        if start in norms and norms[start] > 0:
            _arrow(ax, PLACES[end], PLACES[start], ORANGE, 2.2, 0.25)
    for name in words:
        place, random = PLACES[name], name == ("eps" if reparameterised else "z")
        face = YELLOW if random else "white"
        box = {"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": BLUE}
        ax.text(*place, words[name], bbox=box, zorder=3, **centred)
        if name in norms:
            color = ORANGE if norms[name] > 0 else RED
            y = place[1] + (0.42 if place[1] >= 0 else -0.42)
            ax.text(place[0], y, f"{norms[name]:.3g}", color=color, weight="bold", **centred)
    ax.set(xlim=(-0.4, 8.7), ylim=(-1.5, 1.2))
    ax.axis("off")


def _arrow(
    ax: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str,
    width: float,
    bend: float,
) -> None:
    style = {
        "arrowstyle": "-|>",
        "color": color,
        "lw": width,
        "shrinkA": 20,
        "shrinkB": 22,
        "connectionstyle": f"arc3,rad={bend}",
    }
    ax.annotate("", xy=end, xytext=start, arrowprops=style, zorder=1)
