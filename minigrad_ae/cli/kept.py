"""What ``minigrad-ae verify --data F --out DIR`` keeps: model, codes, components, certificate and a
picture of the codes.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import checkpoint
from ..claims.certificate import Certificate
from ..data.columns import Table
from ..errors import CheckpointError, DataError
from ..files import write_folder
from ..locks import alone_in
from ..models import LinearAutoencoder
from ..teaching.figures import CLASSES

CERTIFICATE = "certificate.json"
MARKS = "os^Dv"  # with ten colours, 50 kinds of label
MOST = len(CLASSES) * len(MARKS)


def demand_folder(out: Path) -> None:
    """Refuse a folder that cannot be made or written to, that holds another run's model, or in
    which another run is at work: asked before the work is done.
    """
    above = next(p for p in [out, *out.absolute().parents] if p.exists())
    if not above.is_dir():
        raise DataError("--out is not a folder", f"{above} is a file", "name a folder")
    if not os.access(above, os.W_OK):
        raise DataError("--out cannot be written to", f"no permission in {above}", "name another")
    if (out / checkpoint.FILE).exists() and not (out / CERTIFICATE).exists():
        raise CheckpointError(
            "there is a checkpoint of another run",
            f"{out / checkpoint.FILE}",
            "name another folder: --out DIR",
        )
    if out.is_dir():
        with alone_in(out):
            pass


def centred_by_itself(model: LinearAutoencoder, mean: np.ndarray) -> LinearAutoencoder:
    """The model without offsets that was trained on X - mean, as one with offsets, for X."""
    new = LinearAutoencoder(
        model.n_features, model.n_latent, l2=model.l2, rng=np.random.default_rng(0)
    )
    W = model.encoder.weight.numpy()
    new.encoder.weight.data, new.decoder.weight.data = W.copy(), model.decoder.weight.numpy().copy()
    new.encoder.bias.data, new.decoder.bias.data = -mean @ W, mean.copy()
    new.record = model.record
    return new


def keep(
    out: Path,
    model: LinearAutoencoder,
    X: np.ndarray,
    certificate: Certificate,
    source: str,
    read: Table,
) -> list[str]:
    """Write all files of a run into the folder `out`, or none; returns their names.

    The model is for the rows X (n, D) of the table itself.  `read` has its columns' names and,
    where they were asked for, a label for each row; `source` is what was read.
    """
    labels, named = read.labels, not all(name.isdigit() for name in read.names)
    codes, rows = model.transform(X), model.components_
    heads = [f"component {k}" for k in range(1, len(rows) + 1)]
    shares = np.column_stack([model.explained_variance_, model.explained_variance_ratio_, rows])
    columns = read.names if named else [f"column {j}" for j in read.names]
    variances = ["explained variance", "explained variance ratio"]
    packed = checkpoint.packed(model, meta={"data": source, "passed": certificate.passed})
    figure = picture(codes, model.explained_variance_ratio_, labels, Path(source).name)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150, metadata={"Software": None})
    words = json.dumps(certificate.as_dict(), indent=1, allow_nan=False) + "\n"
    files: dict[str, Callable[[BinaryIO], object]] = {}
    files[checkpoint.FILE] = lambda file: np.savez(file, **packed)  # type: ignore[arg-type]
    files["codes.npy"] = lambda file: np.save(file, codes)
    files["codes.csv"] = lambda file: table(file, heads, codes, labels)
    files["codes.png"] = lambda file: file.write(drawn.getvalue())
    files["components.npy"] = lambda file: np.save(file, rows)
    files["components.csv"] = lambda file: table(file, [*variances, *columns], shares)
    files[CERTIFICATE] = lambda file: file.write(words.encode("utf-8"))
    write_folder(out, files)
    return list(files)


def table(
    file: BinaryIO,
    heads: Sequence[str],
    rows: np.ndarray,
    labels: Sequence[Any] | np.ndarray | None = None,
) -> None:
    """A .csv file in UTF-8: a line of heads, and each number in as many digits as it takes to read
    it back; where there are labels, they are the last column.
    """
    ends = [""] * len(rows)
    if labels is not None:
        heads = [*heads, "label"]
        ends = [f",{quoted(str(label))}" for label in labels]
    file.write((",".join(map(quoted, heads)) + "\n").encode())
    for row, end in zip(rows.tolist(), ends, strict=True):
        file.write((",".join(map(repr, row)) + end + "\n").encode())


def quoted(text: str) -> str:
    """A field of a .csv file (RFC 4180)."""
    if any(mark in text for mark in ',"\r\n'):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text


# --- the picture ----------------------------------------------------------------------------------


def picture(
    codes: np.ndarray, shares: np.ndarray, labels: Sequence[Any] | np.ndarray | None, name: str
) -> Any:
    """A figure of the codes (n, M) in the first two components, of the first alone where M is 1;
    coloured by label.  `shares` (M,): of the variance.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    ax = figure.subplots()
    flat = codes.shape[1] == 1
    points = np.column_stack([codes[:, 0], np.arange(len(codes))]) if flat else codes[:, :2]
    _draw_labelled(figure, ax, points, labels)
    shown = shares[:2].sum()
    axes = [f"component {k} ({share:.1%} of the variance)" for k, share in enumerate(shares[:2], 1)]
    what = "the first component holds" if flat else "the first two components hold"
    finding = f"{what} {shown:.1%} of the variance of {len(codes):,} rows"
    ax.set_title(f"{name}\n{finding}", fontsize=10)
    ax.set(
        xlabel=axes[0],
        ylabel="row of the table" if flat else axes[1],
    )
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    if not flat:
        ax.axhline(0, color="0.8", lw=0.8, zorder=0)
        ax.set_aspect("equal", adjustable="datalim")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_labelled(figure: Any, ax: Any, points: np.ndarray, labels: Any) -> None:
    size = float(np.clip(12000 / len(points), 4, 28))
    look = {"s": size, "alpha": 0.8, "linewidths": 0}
    if labels is None:
        ax.scatter(*points.T, color=CLASSES[0], **look)
        return
    numbers = _as_numbers(labels)
    different = np.unique(numbers if numbers is not None else np.asarray(labels, str))
    if numbers is not None and len(different) > len(CLASSES):
        drawn = ax.scatter(*points.T, c=numbers, cmap="viridis", **look)
        figure.colorbar(drawn, ax=ax, label="label")
        return
    for label, color, mark, here in _kinds(np.asarray(labels, str), numbers is not None):
        ax.scatter(*points[here].T, color=color, marker=mark, label=label, **look)
    figure.legend(loc="outside right center", fontsize=8, markerscale=1.4)


def _kinds(labels: np.ndarray, numeric: bool) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """(label, colour, mark, where) of each kind; beyond MOST kinds the rarest are 'other'."""
    common, counts = np.unique(labels, return_counts=True)
    if numeric:
        common = np.array(sorted(common, key=float))
    elif len(common) > MOST:
        most = np.argsort(-counts, kind="stable")[:MOST]
        common = np.sort(common[most])
    for k, label in enumerate(common):
        color, turn = CLASSES[k % len(CLASSES)], k // len(CLASSES)
        yield str(label), color, MARKS[(k + turn) % len(MARKS)], labels == label
    rest = ~np.isin(labels, common)
    if rest.any():
        yield f"{len(counts) - len(common)} others", "0.75", "o", rest


def _as_numbers(labels: Any) -> np.ndarray | None:
    try:
        return np.asarray(labels).astype(np.float64)
    except ValueError:
        return None
