"""The pane of the page that shows what a step has become: the lines of its compiled program.

Each line with what it costs, the block of memory that it writes to, and the node of the graph that
it comes from.  Names are not asked for that: from the loss down, an op of the program and an op of
the graph that stand at the same place are the same.
"""

from __future__ import annotations

from typing import Any

from ...display import many
from ...errors import DataError, DtypeError, GradientError
from ...program.listing import Story
from ...program.profile import Cost, Profile, Row, groups, story_costs
from ...program.program import Program
from ..record.steps import Recording

HOW_TO_TIME = "Not timed: html(path, program=step.program.profile(...)) times each line."


def chosen(given: Any) -> tuple[Program, Profile | None]:
    """The program of a compiled step, a program, or a profile; and the profile, if it is one."""
    program = getattr(given, "program", given)
    if isinstance(program, Program):
        return program, given if isinstance(given, Profile) else None
    if program is None:
        reason = getattr(given, "reason", "")
        raise DataError(
            "html: this step has no program yet",
            f"it stays on the tape: {reason}" if reason else "it was not called",
            "leave `program` out" if reason else "call the step once: step(...)",
        )
    raise DtypeError(
        "html: `program` is not a compiled step",
        f"got a {type(given).__name__}",
        "pass what mg.compile returned, its program, or step.program.profile(...)",
    )


def pane(trace: Recording, given: Any) -> dict[str, Any]:
    """What the page shows of a program, as small JSON."""
    program, profile = chosen(given)
    story: Any = program.story
    try:
        texts = [
            story.statement(line, *assignment)
            for line, assignment in zip(story.lines, story.assignments(), strict=True)
        ]
        rows = untimed(story) if profile is None else timed(profile)
    except GradientError:  # the source of one of its functions cannot be read
        texts, rows = [f"{line.label}  # {line.shape}" for line in story.lines], []
    nodes = nodes_of(trace, story)
    lines = [
        {"t": text, "how": line.how, "n": nodes.get(line.of, -1)}
        for text, line in zip(texts, story.lines, strict=True)
    ]
    blocks = [{"size": block.size, "lines": block.lines} for block in story.blocks()]
    told = {"boundary": story.boundary, "rows": rows, "blocks": blocks}
    return {"lines": lines, **told, "facts": facts(program, profile, len(blocks))}


def facts(program: Program, profile: Profile | None, blocks: int) -> str:
    """The program in a sentence or two."""
    size = f"{many(len(program.lines), 'line')}, {program.nbytes:,} bytes"
    where = f"{size} in {many(blocks, 'block')} of memory."
    if profile is None:
        return f"{where} {HOW_TO_TIME}"
    roof = f"{profile.peak / 1e9:.0f} GF/s (float32) and {profile.bandwidth / 1e9:.1f} GB/s"
    return f"{where} {1e6 * profile.seconds:.1f} µs a step; the roof, of one core: {roof}."


def report(given: Any) -> str:
    """The same as text: for print, and where there is no JavaScript."""
    program, profile = chosen(given)
    return str(program if profile is None else profile)


def timed(profile: Profile) -> list[dict[str, Any]]:
    """Lines that are run together, and what they cost."""
    return [cells(row.lines, row.cost, row) for row in profile.rows]


def untimed(story: Story) -> list[dict[str, Any]]:
    """The same without times."""
    spent = story_costs(story)
    return [cells(group, sum((spent[k] for k in group), Cost())) for group in groups(story.lines)]


def cells(lines: Any, cost: Cost, row: Row | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"lines": list(lines), "flops": cost.flops, "bytes": cost.nbytes}
    if row is None:
        return told
    return told | {"us": 1e6 * row.seconds, "share": row.share, "roof": row.of_roof}


def nodes_of(trace: Recording, story: Story) -> dict[str, int]:
    """{name of a value in the program: its node}, as far as program and graph have the same ops."""
    root = next(n for n in reversed(trace.nodes) if n.op)
    op, _ = story.made.get(story.results[0], ("", ()))
    if op != root.op:
        raise DataError(
            "html: this is the program of another step",
            f"its loss is made by {op or 'no op'}, the traced one by {root.op}",
            "trace the loss that the step's function returns",
        )
    found: dict[str, int] = {}
    left = [(story.results[0], root.id)]
    while left:
        name, number = left.pop()
        node = trace.nodes[number]
        op, inputs = story.made.get(name, ("", ()))
        if name in found or (op and node.op and op != node.op):
            continue
        found[name] = number
        if node.op and len(inputs) == len(node.parents):
            left += zip(inputs, node.parents, strict=True)
    return found
