"""Tables in text files: .csv, .tsv, .txt and their like.

NumPy reads them, and pandas those with a decimal comma.  What is here only looks at the first lines
to find out the encoding, the separator, the decimal mark, the header and a column of row numbers,
and says the line that reads the file.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ..arguments import counted
from ..errors import DataError, DtypeError, FileError
from .columns import Columns, Table, as_labels

SAMPLE = 200  # lines that are looked at
PIECE = 1 << 20  # bytes
SEPARATORS = ("\t", ";", "|", ",", " ")  # " " stands for any white space
SPELT = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "white space"}
MISSING = ["", "?", "-", ".", "na", "n/a", "#n/a", "nan", "null", "none", "missing"]
INFINITE = {"inf", "infinity", "-inf", "-infinity", "+inf"}
POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+(,\d+)?|,\d+)([eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
WRITTEN_POINT = re.compile(r"\d*\.\d")
UNNAMED = {"", "unnamed: 0"}  # what R and pandas call the column of row names
LABELS = {"label", "labels", "class", "target", "species"}
DRESSED = re.compile(r"[-+$€£]?\s*\d[\d.,' ]*\s*[%€]?")  # a number with more than digits
COUNTED = 5  # rows that count 1, 2, 3, ... are more than chance
MARKS = {  # byte-order marks
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass
class Layout:
    """How a table is written."""

    path: Path
    encoding: str
    separator: str
    decimal: str
    before: int  # lines before the first datum
    names: list[str]
    header: bool
    rows: list[list[str]]  # the first data

    @property
    def place(self) -> str:
        return f"path {str(self.path)!r}"

    def column(self, k: int) -> str:
        """'column 'age'', or 'column 3 (from 0)'."""
        return f"column {self.names[k]!r}" if self.header else f"column {k} (from 0)"

    def name(self, k: int) -> str:
        """What to write for the column on the command line."""
        name = self.names[k]
        if not name or self.names.count(name) > 1:
            return str(k)
        return name if re.fullmatch(r"[\w.-]+", name) else f"'{name}'"


def read_text(path: Path, columns: Columns) -> Table:
    """The numbers in a table of text; DataError for a missing value, DtypeError for text."""
    layout = layout_of(path)
    features, label = columns.split(layout.names, layout.place)
    notes = [_described(layout)]
    row_names = layout.header and layout.names[0].lower() in UNNAMED and len(layout.names) > 1
    if row_names and 0 in features:
        features.remove(0)
        notes.append("the first column has no name: it names the rows, and is left out")
    _demand_numbers(layout, features)
    notes += _doubts(layout, features)
    X, line = _numbers(layout, features)
    if not np.isfinite(X).all():
        _find_fault(layout, features)
    table = Table(X, [layout.names[k] for k in features], notes=notes, line=line)
    if label is not None:
        rows = _rows(layout)
        table.labels = as_labels(np.array([fields[label].strip() for _, fields in rows]))
    return table


# --- looking at the first lines ---


def layout_of(path: Path) -> Layout:
    """How the table is written, from its first lines."""
    encoding = _encoding(path)
    with _opened(path, encoding) as file:
        lines = list(islice(file, SAMPLE))
    said, skipped = _said_by_excel(lines), 0
    comments: list[str] = []
    if said:
        lines[0], skipped = "\n", 1
    while skipped < len(lines) and lines[skipped].startswith(("#", "%", "\n")):
        comments += [lines[skipped].lstrip("#% ")] if lines[skipped].strip() else []
        skipped += 1
    text = [line for line in lines[skipped:] if line.strip()]
    if not text:
        raise _no_table(path, f"{counted(len(lines), 'line')}, none with data")
    separator = said or max(SEPARATORS, key=lambda each: _score(text, each))
    rows = list(_fields(text, separator))
    decimal = _decimal(rows, separator, path)
    width = _width(rows[1:] or rows)  # the first may be a header
    named = list(_fields(comments[-1:], separator))
    layout = Layout(path, encoding, separator, decimal, skipped, [], False, rows)
    header = _is_header(rows, width, decimal)
    if header:
        names = rows[0] if len(rows[0]) == width else ["", *rows[0]]
        layout.rows = rows[1:]
        layout.before += 1 + next(k for k, line in enumerate(lines[skipped:]) if line.strip())
        if not layout.rows:
            raise _no_table(path, f"a header of {counted(width, 'column')}, and no data below it")
    else:
        names = named[0] if named and len(named[0]) == width else []
    layout.header = bool(names)
    layout.names = [name.strip() for name in names] or [str(k) for k in range(width)]
    return _without_an_empty_end(layout)


def _no_table(path: Path, found: str) -> DataError:
    return DataError("the file holds no table", f"path {str(path)!r}: {found}", "name another file")


def _encoding(path: Path) -> str:
    """ASCII, UTF-8 or UTF-16, by its mark or its zeros; else the one of Western Windows."""
    with _binary(path) as file:
        start = file.read(PIECE)
        for mark, name in MARKS.items():
            if start.startswith(mark):
                return name
        zeros = np.frombuffer(start[: 2 * (len(start) // 2)], np.uint8).reshape(-1, 2) == 0
        if len(zeros) and zeros.mean(axis=0).max() > 0.5:
            return "utf-16-le" if zeros[:, 1].mean() > 0.5 else "utf-16-be"
        decoder, only_ascii = codecs.getincrementaldecoder("utf-8")(), True
        try:
            while start:
                decoder.decode(start)
                only_ascii = only_ascii and start.isascii()
                start = file.read(PIECE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "ascii" if only_ascii else "utf-8"


def _binary(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")


def _opened(path: Path, encoding: str) -> TextIO:
    """The text; a byte that the encoding does not have is replaced, not refused."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    file: TextIO = opened(path, "rt", encoding=encoding, errors="replace")
    return file


def _said_by_excel(lines: list[str]) -> str:
    """The separator, where the first line says it: sep=;"""
    found = re.fullmatch(r'"?sep=(.)"?\s*', lines[0]) if lines else None
    return found[1] if found else ""


def _fields(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The cells of each line."""
    if separator == " ":
        lines = (" ".join(line.split()) for line in lines)
    yield from csv.reader(lines, delimiter=separator, skipinitialspace=True)


def _score(lines: list[str], separator: str) -> float:
    """How well a separator fits: rows of one width above 1, made of numbers."""
    try:
        rows = list(_fields(lines, separator))
    except csv.Error:
        return -1.0
    width = _width(rows[1:] or rows)
    fitting = sum(len(row) == width for row in rows) / len(rows)
    cells = [cell for row in rows for cell in row]
    numbers = sum(_is_number(cell, ".") or _is_number(cell, ",") for cell in cells)
    return (fitting if width > 1 else 0.0) + numbers / len(cells)


def _width(rows: list[list[str]]) -> int:
    """The width that most rows have."""
    widths = [len(row) for row in rows]
    return max(set(widths), key=widths.count)


def _is_number(cell: str, decimal: str) -> bool:
    cell = cell.strip()
    pattern = COMMA if decimal == "," else POINT
    return bool(pattern.fullmatch(cell)) or cell.lower() in INFINITE


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _is_text(cell: str, decimal: str) -> bool:
    return not (_is_number(cell, decimal) or _is_missing(cell))


def _decimal(rows: list[list[str]], separator: str, path: Path) -> str:
    """A comma, where numbers are written with it and none with a point."""
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if "," in cell and COMMA.fullmatch(cell)]
    if not commas or any(WRITTEN_POINT.match(cell) and POINT.fullmatch(cell) for cell in cells):
        return "."
    if separator == "," and all(THOUSANDS.fullmatch(cell) for cell in commas):
        raise DataError(
            "a comma may be a decimal mark or group thousands",
            f"path {str(path)!r}: {commas[0]!r}",
            "save the table again, without thousands separators",
        )
    return ","


def _is_header(rows: list[list[str]], width: int, decimal: str) -> bool:
    """Whether the first row names the columns."""
    first, data = rows[0], rows[1:]
    if not data:
        return all(_is_text(cell, decimal) for cell in first)
    whole = [row for row in data if len(row) == width]
    if len(first) == width - 1:  # R: no name above the names of the rows
        return any(_is_text(cell, decimal) for cell in first)
    if len(first) != width:
        return False
    if not first[0].strip() and all(_is_number(cell, decimal) for cell in first[1:]):
        above = [row[0] for row in whole]  # of rows that are named or counted
        return _counts(above, None) or any(_is_text(cell, decimal) for cell in above)
    if _counts(first) and not _counts([*first, *data[0]]):  # what pandas writes without names
        return width > 2 or not all(row[-1].strip().isdecimal() for row in whole)
    above_numbers = [
        _is_text(first[k], decimal) and not any(_is_text(row[k], decimal) for row in whole)
        for k in range(width)
    ]
    return any(above_numbers) or all(_is_text(cell, decimal) for cell in first)


def _counts(cells: Sequence[str], start: int | None = 0) -> bool:
    """Whether the cells are start, start + 1, start + 2, ...; from any number where it is None."""
    if not cells or not all(cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    first = numbers[0] if start is None else start
    return numbers == list(range(first, first + len(numbers)))


def _without_an_empty_end(layout: Layout) -> Layout:
    """Without a last column that only a separator at the end of each line makes."""
    if layout.header and layout.names[-1]:
        return layout
    if all(len(row) == len(layout.names) and not row[-1].strip() for row in layout.rows):
        layout.names = layout.names[:-1] or layout.names
    return layout


def _demand_numbers(layout: Layout, features: list[int]) -> None:
    """DtypeError for a column of text among the features."""
    texts = [
        k
        for k in features
        if any(len(row) > k and _is_text(row[k], layout.decimal) for row in layout.rows)
    ]
    if not texts:
        return
    k = texts[0]
    row, cell = next(
        (n, row[k])
        for n, row in enumerate(layout.rows)
        if len(row) > k and _is_text(row[k], layout.decimal)
    )
    names = " ".join(layout.name(j) for j in texts)
    fix = (
        f"--labels {layout.name(k)}, or leave it out: --drop-columns {names} (in Python labels=, "
        "drop=)"
    )
    if DRESSED.fullmatch(cell.strip()):
        fix = "write plain numbers: one decimal mark, no separator of thousands, no units"
    others = f"; {len(texts)} columns hold text" if len(texts) > 1 else ""
    raise DtypeError(
        f"{layout.column(k)} holds text",
        f"{layout.place}: {cell.strip()!r:.40} in row {row} (from 0){others}",
        fix,
    )


def _described(layout: Layout) -> str:
    """The layout in a sentence."""
    parts = [f"text in {layout.encoding}, separated by {SPELT.get(layout.separator, 'marks')}"]
    parts += ["decimal comma"] if layout.decimal == "," else []
    parts += ["with a header" if layout.header else "without a header"]
    return ", ".join(parts)


def _doubts(layout: Layout, features: list[int]) -> list[str]:
    """What a person should look at: features that seem to number the rows, or to be labels."""
    doubts = []
    for k in features:
        cells = [row[k] for row in layout.rows if len(row) > k]
        name = layout.name(k)
        if len(cells) >= COUNTED and _counts(cells, None):
            doubts.append(
                f"{layout.column(k)} counts up by one and is read as a feature; without it: "
                f"--drop-columns {name}"
            )
        if layout.names[k].lower() in LABELS and layout.header:
            doubts.append(
                f"{layout.column(k)} is read as a feature; if these are labels: --labels {name}"
            )
    return doubts


# --- reading ---


def _numbers(layout: Layout, features: list[int]) -> tuple[NDArray[np.float64], str]:
    """(the columns, the line that reads them)."""
    path = str(layout.path)
    usecols = features if len(features) < _width(layout.rows) else None
    if usecols:
        _demand_width(layout)
    settings: dict[str, Any] = {"skiprows": layout.before, "usecols": usecols}
    settings["encoding"] = None if layout.encoding == "ascii" else layout.encoding
    given = {name: value for name, value in settings.items() if value}
    if layout.decimal == ",":
        separator = r"\s+" if layout.separator == " " else layout.separator
        given = {"header": None, "sep": separator, "decimal": ",", **given}
        call = "pd.read_csv"
    else:
        separators = {} if layout.separator == " " else {"delimiter": layout.separator}
        given = {**separators, **given, "quotechar": '"', "comments": None, "ndmin": 2}
        call = "np.loadtxt"
    written = ", ".join(f"{name}={value!r}" for name, value in given.items())
    try:
        return _call(call, path, given), f"{call}({path!r}, {written})"
    except (ValueError, IndexError, OverflowError) as error:
        _find_fault(layout, features)
        raise FileError(
            "the table cannot be read",
            f"{layout.place}: {' '.join(str(error).split()):.120}",
            "save it again as plain CSV: one header, one separator, a decimal point",
        ) from None


def _call(name: str, path: str, settings: dict[str, Any]) -> NDArray[np.float64]:
    if name == "np.loadtxt":
        loaded: NDArray[np.float64] = np.loadtxt(path, **settings)
        return loaded
    try:
        import pandas
    except ImportError:
        raise FileError(
            "a table with a decimal comma is read by pandas, which is not installed",
            f"path {path!r}",
            "pip install 'minigrad_ae[data]', or save the table with a decimal point",
        ) from None
    frame = pandas.read_csv(path, na_values=MISSING, **settings)
    return frame.to_numpy(np.float64)


def _rows(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """(number of the line, from 1; its cells), of every datum."""
    with _opened(layout.path, layout.encoding) as file:
        for _ in range(layout.before):
            next(file)
        filled = ((n, line) for n, line in enumerate(file, layout.before + 1) if line.strip())
        for n, line in filled:
            yield n, next(_fields([line], layout.separator))


def _find_fault(layout: Layout, features: list[int]) -> None:
    """An error for the first row of another width or cell of text, and for missing values."""
    _demand_width(layout)
    missing: list[str] = []
    for row, (line, fields) in enumerate(_rows(layout)):
        where = f"line {line}, row {row} (from 0)"
        for k in features:
            if _is_text(fields[k], layout.decimal):
                raise DtypeError(
                    f"{layout.column(k)} holds text",
                    f"{layout.place}: {fields[k].strip()!r:.40} in {where}",
                    f"correct it; or leave the column out: --drop-columns {layout.name(k)}",
                )
        missing += [f"{where}, {layout.column(k)}" for k in features if _is_missing(fields[k])]
    if missing:
        raise DataError(
            f"the table has {counted(len(missing), 'missing value')}",
            f"{layout.place}: the first in {missing[0]}",
            "fill them in or drop their rows (in pandas df.dropna()), and save the table again",
        )


def _demand_width(layout: Layout) -> None:
    """DataError unless all rows have as many cells as most of the first ones."""
    width = _width(layout.rows)
    for row, (line, fields) in enumerate(_rows(layout)):
        if len(fields) != width:
            raise DataError(
                "the rows of the table differ in length",
                f"{layout.place}: line {line}, row {row} (from 0), has "
                f"{counted(len(fields), 'cell')}, most of the first rows have {width}",
                "write an empty cell for a missing one, and quote text that has the separator",
            )
