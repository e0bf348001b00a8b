"""Every statement of the slides has its cells, claims and figures, and all that are named exist."""

import re

import pytest

from minigrad_ae.claims import KINDS, claims
from minigrad_ae.teaching.lesson import lesson_files, lessons_folder

ROOT = lessons_folder().parent
PAGE = (lessons_folder() / "COVERAGE.md").read_text(encoding="utf-8")
CELLS = {
    path.stem[:2]: set(re.findall(r"^# %% (?!\[)(.+)$", path.read_text(encoding="utf-8"), re.M))
    for path in lesson_files()
}
KIND = {each.id: each.kind for each in claims()}


def rows(page):
    """(statement, cells, {claim: kind}, figures, reason) of each row; a bar in a formula is \\|."""
    found = []
    for line in page.splitlines():
        if line.startswith("| ") and not line.startswith("| statement"):
            fields = [f.strip() for f in re.split(r"(?<!\\)\|", line)[1:-1]]
            statement, cells, held, figures = fields
            parts = [part.strip() for part in held.split(";")]
            kinds = {
                name: part.split(":")[0]
                for part in parts
                for name in re.findall(r"`([^`]+)`", part)
            }
            reason = [part for part in parts if part.startswith("reason:")]
            found.append((statement, cells.split("; "), kinds, figures.split(", "), reason))
    return found


ROWS = rows(PAGE)


def faults(row):
    """What is wrong with a row: names that do not exist, or evidence that is not enough."""
    _, cells, kinds, figures, reason = row
    wrong = [cell for cell in cells if cell[3:] not in CELLS.get(cell[:2], ())]
    wrong += [name for name, kind in kinds.items() if KIND.get(name) != kind]
    wrong += [name for name in figures if name and not (ROOT / f"figures/{name}.png").exists()]
    held = set(kinds.values()) - {"empirical"}
    return wrong if held or reason else [*wrong, "no claim that theory holds, and no reason"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\W+", "-", row[0])[:50])
def test_what_a_row_names_exists_and_is_enough(row):
    assert not faults(row)


def test_every_claim_has_a_row():
    assert set(KIND) == {name for row in ROWS for name in row[2]}


def test_every_statement_stands_once():
    statements = [row[0] for row in ROWS]
    assert len(set(statements)) == len(statements) >= 45


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("| s | 08 Built | exact: `any-q` | |", "08 Built"),
        ("| s | 08 Build | bound: `any-q` | |", "any-q"),
        ("| s | 08 Build | exact: `any-p` | |", "any-p"),
        ("| s | 08 Build | exact: `any-q` | 08_gap |", "08_gap"),
        ("| s | 08 Build | empirical: `beta-compresses` | |", "no claim that theory holds"),
    ],
)
def test_a_fault_is_found(line, fault):
    found = faults(rows(line)[0])
    assert len(found) == 1 and found[0].startswith(fault)
    assert not faults(rows("| a \\| b | 08 Build | exact: `any-q` | |")[0])
    assert not faults(rows("| s | 08 Build | empirical: `beta-compresses`; reason: taste | |")[0])


def test_kinds_are_those_of_the_ledger():
    assert {kind for row in ROWS for kind in row[2].values()} == set(KINDS)
